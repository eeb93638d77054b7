"""What MLflow holds after a run, read back with MLflow's own client."""

import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from placid_kedro.app import tracking_store
from placid_kedro.app.tracking import MlflowTracker, flatten, start_run
from placid_kedro.app.tracking_store import tracking_uri
from placid_kedro.config import TrackingParameters
from placid_kedro.errors import TrackingError


def parameters(**changes: Any) -> TrackingParameters:
    values = {
        "enabled": True,
        "uri": "sqlite:///mlflow.db",
        "experiment": "tests",
        "timeout_seconds": 1,
        "batch_steps": 4,
        "run": "",
    }
    return TrackingParameters(**{**values, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder whose tracking database is made once: that takes seconds."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture
def start(store: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MlflowTracker]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def open_run(values: dict[str, Any] | None = None) -> MlflowTracker:
        return start_run(parameters(), store, "a-cat", values or {}, {"version.torch": "2"})

    return open_run


def client(store: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")


def test_parameters_are_one_a_leaf(start: Callable[..., MlflowTracker], store: Path) -> None:
    many = {f"p{index:03d}": index for index in range(150)}
    tracker = start({"prompt": "a cat", "lora": {"rank": 4, "nested": {"x": [1, 2]}}, "many": many})
    tracker.end(succeeded=True)
    run = client(store).get_run(tracker.run_id)
    assert run.data.params["prompt"] == "a cat"
    assert run.data.params["lora.rank"] == "4"
    assert run.data.params["lora.nested.x"] == "[1, 2]"
    assert run.data.params["many.p149"] == "149"
    assert (run.info.run_name, run.info.status) == ("a-cat", "FINISHED")
    assert run.data.tags["version.torch"] == "2"


def test_step_metrics_arrive_complete_whatever_the_batches(
    start: Callable[..., MlflowTracker], store: Path
) -> None:
    tracker = start()
    for step in range(10):
        tracker.log_metrics(step, {"loss": 1.0 / (step + 1), "alpha": step})
    tracker.end(succeeded=False)
    history = client(store).get_metric_history(tracker.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(s, 1.0 / (s + 1)) for s in range(10)]
    assert client(store).get_run(tracker.run_id).info.status == "FAILED"


def test_artifacts_and_images_arrive(
    start: Callable[..., MlflowTracker], store: Path, tmp_path: Path
) -> None:
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    tracker = start()
    tracker.log_artifact(tmp_path / "report.json")
    tracker.log_artifact(tmp_path / "model")
    tracker.log_image(7, "samples", torch.rand(3, 8, 8))
    tracker.end(succeeded=True)
    listed = client(store)
    assert {item.path for item in listed.list_artifacts(tracker.run_id)} == {"report.json", "model", "images"}
    (image,) = (
        item.path for item in listed.list_artifacts(tracker.run_id, "images") if item.path.endswith("png")
    )
    assert image.startswith("images/samples+step+7+")


def test_a_store_that_fails_later_is_said_once_and_the_run_goes_on(
    start: Callable[..., MlflowTracker], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    tracker = start()
    tracker.log_artifact(tmp_path / "missing.txt")
    for step in range(20):
        tracker.log_metrics(step, {"loss": 1.0})
    tracker.end(succeeded=True)
    assert [record.getMessage() for record in caplog.records if "stopped recording" in record.getMessage()]
    assert sum("stopped recording" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(("listening", "reason"), [(False, "refused"), (True, "timed out")])
def test_an_unreachable_server_is_one_sentence_after_one_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listening: bool, reason: str
) -> None:
    monkeypatch.setattr(tracking_store, "_OWN_SECONDS", 600.0)
    for name in ("TIMEOUT", "MAX_RETRIES"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listening:
            server.listen()  # takes the connection and never answers
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(TrackingError, match=f"{uri} cannot be used") as raised:
            start_run(parameters(), tmp_path, "a-cat", {}, {})
    # MLflow's own defaults are two minutes and seven more attempts.
    assert (os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"], os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) == (
        "1",
        "0",
    )
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_environment_goes_before_the_parameter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(parameters(), tmp_path) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert tracking_uri(parameters(), tmp_path) == "http://server:5000"


def test_flatten_names_leaves_with_dots() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [2]}, "e": None}) == {"a.b.c": 1, "a.d": [2], "e": None}


def test_first_runs_on_a_new_database_make_its_tables_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own creation is not safe; here it would fail as soon as two were inside."""
    inside, most = [0], [0]

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.05)

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, artifact_location: str) -> str:
            time.sleep(0.05)
            inside[0] -= 1
            return "1"

        def create_run(self, experiment_id: str, run_name: str) -> Any:
            return SimpleNamespace(info=SimpleNamespace(run_id="a"))

        def log_batch(self, run_id: str, **_: Any) -> None:
            assert run_id == "a"

        def update_run(self, run_id: str, status: str) -> None:
            assert (run_id, status) == ("a", "RUNNING")

    monkeypatch.setattr("mlflow.MlflowClient", Client)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    parameters = TrackingParameters(
        enabled=True, uri="sqlite:///m.db", experiment="e", timeout_seconds=1, batch_steps=1
    )
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(start_run, parameters, tmp_path, "n", {}, {}) for _ in range(4)]
        assert {run.result().run_id for run in runs} == {"a"}
    assert most == [1]
