"""What MLflow holds after a run, read back with MLflow's own client."""

import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from placid_kedro.app import tracking_store
from placid_kedro.app.experiment_page import RUNS_PAGE, SWEEPS_PAGE, how_to_see
from placid_kedro.app.killed_runs import close_killed_runs
from placid_kedro.app.run_record import RunRecord, Source, flatten
from placid_kedro.app.tracking import MlflowTracker, open_child, start_run
from placid_kedro.app.tracking_store import Store, tracking_uri
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

    def open_run(values: dict[str, Any] | None = None, sources: tuple[Source, ...] = ()) -> MlflowTracker:
        tags = {"version.torch": "2", "mlflow.user": "somebody", "mlflow.source.name": "kedro run"}
        return start_run(parameters(), store, RunRecord("a-cat", values or {}, tags, sources, "torch==2\n"))

    return open_run


def client(store: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")


def test_parameters_are_one_a_leaf(start: Callable[..., MlflowTracker], store: Path) -> None:
    many = {f"p{index:03d}": index for index in range(150)}
    tracker = start({"prompt": "a cat", "lora": {"rank": 4, "nested": {"x": [1, 2]}}, "many": many})
    tracker.end("FINISHED")
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
    tracker.end("FAILED")
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
    Image.new("RGB", (8, 8)).save(tmp_path / "views.png")
    tracker.log_artifact(tmp_path / "views.png")
    tracker.log_image(7, "samples", torch.rand(3, 8, 8))
    tracker.end("FINISHED")
    listed = client(store)
    found = {item.path for item in listed.list_artifacts(tracker.run_id)}
    assert found == {"report.json", "model", "views.png", "images", "environment.txt"}
    # MLflow's page finds images of one name and step by these names, over all runs.
    images = sorted(item.path for item in listed.list_artifacts(tracker.run_id, "images"))
    assert [path.rpartition("+timestamp")[0] for path in images if path.endswith(".png")] == [
        "images/samples+step+7",
        "images/views+step+0",
    ]
    assert listed.get_run(tracker.run_id).data.tags["mlflow.loggedImages"] == "True"


def test_sources_arrive_as_datasets(start: Callable[..., MlflowTracker], store: Path) -> None:
    tracker = start(sources=(Source("scorer", "0123abcd", "./models/scorer", "model"),))
    tracker.end("FINISHED")
    run = client(store).get_run(tracker.run_id)
    (one,) = run.inputs.dataset_inputs
    assert (one.dataset.name, one.dataset.digest) == ("scorer", "0123abcd")
    assert {tag.key: tag.value for tag in one.tags} == {"mlflow.data.context": "model"}
    assert (run.data.tags["mlflow.user"], run.data.tags["mlflow.source.name"]) == ("somebody", "kedro run")


def test_only_runs_whose_process_is_gone_are_closed(start: Callable[..., MlflowTracker], store: Path) -> None:
    from mlflow import MlflowClient

    ours, killed, elsewhere = start(), start(), start()
    listed = client(store)
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    listed.set_tag(killed.run_id, "process", f"{platform.node()} {ended.pid}@1")
    listed.set_tag(elsewhere.run_id, "process", f"another-machine {ended.pid}@1")
    close_killed_runs(
        Store(MlflowClient, f"sqlite:///{store / 'mlflow.db'}", None),
        listed.get_run(ours.run_id).info.experiment_id,
    )
    states = [listed.get_run(run.run_id).info.status for run in (ours, killed, elsewhere)]
    assert states == ["RUNNING", "KILLED", "RUNNING"]


def test_a_view_that_somebody_changed_stays(start: Callable[..., MlflowTracker], store: Path) -> None:
    experiment_id = client(store).get_run(start().run_id).info.experiment_id
    name = "mlflow.sharedViewState.placid_kedro"
    assert "tags.`variant`" in client(store).get_experiment(experiment_id).tags[name]
    client(store).set_experiment_tag(experiment_id, name, "{}")
    start()
    assert client(store).get_experiment(experiment_id).tags[name] == "{}"


def test_the_view_of_sweeps_compares_what_a_sweep_records(
    start: Callable[..., MlflowTracker], store: Path
) -> None:
    start().end("FINISHED")
    (experiment,) = client(store).search_experiments(filter_string="name = 'tests'")
    view = json.loads(experiment.tags["mlflow.sharedViewState.placid_kedro_sweeps"])
    assert {card["type"] for card in view["compareRunCharts"]} == {"PARALLEL", "IMAGE", "BAR"}
    sections = {section["uuid"] for section in view["compareRunSections"]}
    assert {card["metricSectionId"] for card in view["compareRunCharts"]} == sections
    # The filter is one that the store takes.
    assert client(store).search_runs([experiment.experiment_id], view["searchFilter"]) == []


def test_the_address_shows_runs_and_names_the_command_that_serves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    local = how_to_see(f"sqlite:///{tmp_path}/mlflow.db", tmp_path, "1", RUNS_PAGE)
    assert local.startswith("start `mlflow ui`, then open http://127.0.0.1:5000/#/experiments/1/runs?")
    assert local.endswith("workflowType=machine_learning&viewStateShareKey=placid_kedro")
    sweeps = how_to_see("http://server:80", tmp_path, "1", SWEEPS_PAGE)
    assert sweeps.endswith("&viewStateShareKey=placid_kedro_sweeps&compareRunsMode=CHART")
    assert "--backend-store-uri sqlite:////other.db" in how_to_see(
        "sqlite:////other.db", tmp_path, "1", RUNS_PAGE
    )
    assert how_to_see("http://server:80/", tmp_path, "1", RUNS_PAGE).startswith(
        "http://server:80/#/experiments/1/runs?"
    )
    assert "s3cret" not in how_to_see("https://me:s3cret@server/", tmp_path, "1", RUNS_PAGE)


def test_a_store_that_fails_later_is_said_once_and_the_run_goes_on(
    start: Callable[..., MlflowTracker], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    tracker = start()
    tracker.log_artifact(tmp_path / "missing.txt")
    for step in range(20):
        tracker.log_metrics(step, {"loss": 1.0})
    tracker.end("FINISHED")
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
            start_run(parameters(), tmp_path, RunRecord("a-cat", {}, {}))
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

        def create_run(self, experiment_id: str, run_name: str, tags: dict[str, str]) -> Any:
            assert tags == {"mlflow.parentRunId": "parent"}
            return SimpleNamespace(info=SimpleNamespace(run_id="a"))

    monkeypatch.setattr("mlflow.MlflowClient", Client)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    parameters = TrackingParameters(
        enabled=True, uri="sqlite:///m.db", experiment="e", timeout_seconds=1, batch_steps=1
    )
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(open_child, parameters, tmp_path, "parent", "n", {}) for _ in range(4)]
        assert {run.result() for run in runs} == {"a"}
    assert most == [1]
