"""Stores that cannot be used are said at once, and projects that move keep their records together."""

import http.server
import logging
import shutil
import socketserver
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from placid_kedro.app import tracking_store
from placid_kedro.app.deadlines import Deadlines
from placid_kedro.app.run_record import RunRecord
from placid_kedro.app.tracking import MlflowTracker, start_run
from placid_kedro.app.tracking_store import Store, database_of, tracking_uri
from placid_kedro.config import TrackingParameters
from placid_kedro.errors import TrackingError


def parameters(uri: str = "sqlite:///mlflow.db") -> TrackingParameters:
    return TrackingParameters(enabled=True, uri=uri, experiment="tests", timeout_seconds=1, batch_steps=4)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACKING_URI", "HTTP_REQUEST_TIMEOUT", "HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one recorded run that has an artifact; making the tables takes seconds."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        record(folder)
    return folder


def record(folder: Path) -> str:
    """A run with one artifact; its id."""
    (folder / "note.txt").write_text("made here")
    tracker = start_run(parameters(), folder, RunRecord("a-cat", {}, {}))
    tracker.log_artifact(folder / "note.txt")
    tracker.end("FINISHED")
    return tracker.run_id


def noted(folder: Path) -> set[str]:
    """Ids of the runs whose artifact lies in a project."""
    return {path.parts[-3] for path in (folder / "mlruns").glob("*/artifacts/note.txt")}


def addresses(folder: Path) -> dict[str, str]:
    """Where the runs of a project's database say that their artifacts are."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return dict(connection.execute("SELECT run_uuid, artifact_uri FROM runs").fetchall())


def as_folder(database: Path) -> None:
    database.mkdir()


def as_text(database: Path) -> None:
    database.write_text("I am no database, however long one looks at me.")


@pytest.mark.parametrize(
    ("spoil", "said"), [(as_folder, "unable to open database file"), (as_text, "file is not a database")]
)
def test_a_database_that_cannot_be_used_is_said_before_mlflow_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], said: str
) -> None:
    """MLflow tries again and again, for two minutes."""
    monkeypatch.setattr("mlflow.MlflowClient", None)
    spoil(tmp_path / "mlflow.db")
    with pytest.raises(TrackingError, match=rf"{said}.*see that mlflow\.db can be written"):
        start_run(parameters(), tmp_path, RunRecord("a-cat", {}, {}))


@pytest.mark.parametrize("place", ["/proc/mlflow.db", "/proc/nothing/mlflow.db"])
def test_a_folder_that_cannot_be_written_is_said_before_mlflow_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("mlflow.MlflowClient", None)
    with pytest.raises(TrackingError, match=f"{Path(place).parent} cannot be written"):
        start_run(parameters(f"sqlite:///{place}"), tmp_path, RunRecord("a-cat", {}, {}))


def test_a_database_that_another_program_keeps_locked_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow.MlflowClient", None)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="database is locked"):
            start_run(parameters(), tmp_path, RunRecord("a-cat", {}, {}))


@pytest.fixture
def dripping() -> Iterator[str]:
    """Address of a server that answers one byte at a time, so that no single wait is long, until the test has ended."""
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not ended.wait(0.05):
                    self.wfile.write(b"x")
            except OSError:
                ended.wait()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        ended.set()
        server.shutdown()


def test_a_server_that_drips_is_given_up(
    dripping: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_store, "_OWN_SECONDS", 0.0)
    with pytest.raises(TrackingError, match=r"no whole answer within 1 s.*start the server"):
        start_run(parameters(dripping), tmp_path, RunRecord("a-cat", {}, {}))


def test_a_server_that_stops_answering_is_said_once_and_the_run_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_store, "_OWN_SECONDS", 0.0)
    ended, asked = threading.Event(), []

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            assert tracking_uri == "http://server"

        def log_batch(self, run_id: str, metrics: Any) -> None:
            asked.append(len(metrics))
            ended.wait()

    tracker = MlflowTracker(Store(Client, "http://server", 0.05), "a", batch_steps=1)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        for step in range(5):
            tracker.log_metrics(step, {"loss": 1.0})
        tracker.end("FINISHED")
    ended.set()
    assert asked == [1]
    assert ["no whole answer" in record.getMessage() for record in caplog.records] == [True]


def test_calls_with_a_deadline_give_what_the_function_gives() -> None:
    deadlines = Deadlines()
    assert deadlines.call(lambda: 3, seconds=600) == 3
    with pytest.raises(ZeroDivisionError):
        deadlines.call(lambda: 1 // 0, seconds=600)
    assert deadlines.call(threading.current_thread, seconds=600).daemon


def test_a_copied_project_records_in_its_own_folder(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    before, new = noted(project), record(copy)
    assert noted(project) == before and noted(copy) == {*before, new}
    # What came along is shown from where it lies now; the original's own addresses are as they were.
    assert all(address.startswith(copy.as_uri()) for address in addresses(copy).values())
    assert all(address.startswith(project.as_uri()) for address in addresses(project).values())


def test_artifacts_that_stayed_behind_are_shown_from_there(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(project / "mlflow.db", copy)
    new = record(copy)
    assert noted(copy) == {new}
    for run_id, address in addresses(copy).items():
        assert address.startswith((copy if run_id == new else project).as_uri())


def test_a_place_that_somebody_chose_for_artifacts_stays(project: Path, tmp_path: Path) -> None:
    copy, chosen = tmp_path / "copy", (tmp_path / "chosen").as_uri()
    shutil.copytree(project, copy)
    with closing(sqlite3.connect(copy / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'tests'", (chosen,))
    new = record(copy)
    assert addresses(copy)[new].startswith(chosen)


@pytest.mark.parametrize("name", ["who? me", "100%41 of it", "a#b", "ümläut"])
def test_a_project_may_have_any_name(project: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside" / name
    shutil.copytree(project, folder)
    assert database_of(tracking_uri(parameters(), folder)) == folder / "mlflow.db"
    new = record(folder)
    assert new in noted(folder) and new in addresses(folder)
    assert [path.name for path in (tmp_path / "inside").iterdir()] == [name]
