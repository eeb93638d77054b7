"""MLflow's store: where it is, what can be wrong with it before the work, and calls that end in time."""

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from filelock import FileLock

from placid_kedro.app.addresses import without_password
from placid_kedro.app.deadlines import Deadlines
from placid_kedro.config import TrackingParameters
from placid_kedro.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
# The same to SQLAlchemy; MLflow would take the path of the shorter one as it is written, and make folders there.
_SQLITE_QUOTED = "sqlite+pysqlite:///"
_CREATION_SECONDS = 60.0  # making the tables takes some ten
_OTHERS_SECONDS = (
    600.0  # to wait while others make them, on a busy machine: their lock ends with their process
)
_OWN_SECONDS = 10.0  # of MLflow's, which imports much at its first requests; a busy machine needs longer
_SLOWEST = 2**16  # bytes a second; an upload that is slower has stopped
_ARTIFACTS = "mlruns"
_REASON_LIMIT = 200


class Store:
    """MLflow's client of a store.

    Args:
        connect: makes the client.
        seconds: to wait for a server's answer to one request, however it trickles in; None for this machine's database.

    Raises:
        TimeoutError: the store does not answer.
    """

    def __init__(self, connect: "type[MlflowClient]", uri: str, seconds: float | None) -> None:
        self._seconds = seconds
        self._deadlines = None if seconds is None else Deadlines()
        self._client: MlflowClient = self._limited(partial(connect, tracking_uri=uri), _CREATION_SECONDS)

    def call(self, method: str, *arguments: Any, requests: int = 1, size: int = 0, **named: Any) -> Any:
        """Call one of the client's methods.

        Args:
            method: its name.
            arguments: for it, as are `named`.
            requests: it makes, at most.
            size: bytes it sends.

        Raises:
            TimeoutError: it takes longer than the requests may.
        """
        seconds = (self._seconds or 0.0) * requests + size / _SLOWEST + _OWN_SECONDS
        return self._limited(partial(getattr(self._client, method), *arguments, **named), seconds)

    def _limited(self, function: Any, seconds: float) -> Any:
        return function() if self._deadlines is None else self._deadlines.call(function, seconds)


@contextmanager
def open_store(parameters: TrackingParameters, project_path: Path) -> Iterator[tuple[Store, str]]:
    """The tracking store and the id of the parameters' experiment, which is made where there is none; whatever the
    store raises is one sentence.

    Args:
        parameters: which store and experiment.
        project_path: folder that a relative SQLite path is in.

    Raises:
        TrackingError: the store cannot be reached or used, here or in the body.
    """
    _limit_waiting(parameters.timeout_seconds)
    uri = tracking_uri(parameters, project_path)
    database = database_of(uri)
    try:
        from mlflow import MlflowClient

        for name, level in (
            ("mlflow", logging.WARNING),
            ("alembic", logging.WARNING),
            ("urllib3", logging.ERROR),
        ):
            logging.getLogger(name).setLevel(level)  # the last tells of each failed attempt
        if database is None:
            seconds = None if urlsplit(uri).scheme in ("", "file") else float(parameters.timeout_seconds)
            store = Store(MlflowClient, uri, seconds)
            location = None if seconds else (project_path / _ARTIFACTS).as_uri()
            experiment_id, _ = _experiment(store, parameters.experiment, location)
        else:
            with _one_at_a_time(database):
                check_database(database, parameters.timeout_seconds)
                store = Store(MlflowClient, uri, None)
                location = (database.parent / _ARTIFACTS).as_uri()
                experiment_id, old = _experiment(store, parameters.experiment, location)
                move_artifacts(database, experiment_id, old, location)
        yield store, experiment_id
    except Exception as error:  # MLflow raises whatever its store or server raises
        raise TrackingError(
            f"The MLflow tracking store {without_password(uri)} cannot be used ({reason(error)}); {_remedy(database)}, "
            "set MLFLOW_TRACKING_URI to another store, or run with --params tracking.enabled=false."
        ) from error


def tracking_uri(parameters: TrackingParameters, project_path: Path) -> str:
    """The store's address; a relative SQLite path is taken from the project's folder."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or parameters.uri
    if not uri.startswith(_SQLITE) or Path(uri.removeprefix(_SQLITE)).is_absolute():
        return uri
    folder = str(project_path)
    prefix = _SQLITE_QUOTED if set(folder) & set("?%") else _SQLITE
    if prefix == _SQLITE_QUOTED:
        folder = quote(folder)
    return f"{prefix}{folder}/{uri.removeprefix(_SQLITE)}"


def database_of(uri: str) -> Path | None:
    """The file of an SQLite store's address; None for another one's."""
    for prefix in (_SQLITE, _SQLITE_QUOTED):
        if uri.startswith(prefix):
            return Path(unquote(uri.removeprefix(prefix).partition("?")[0]))
    return None


def check_database(database: Path, seconds: float) -> None:
    """See whether an SQLite file can be written: SQLite says so at once, MLflow tries again for minutes.

    Args:
        database: the file; it need not exist.
        seconds: to wait for another program's lock.

    Raises:
        OSError: its folder cannot be written.
        sqlite3.Error: SQLite cannot write it, or it is no database.
    """
    with closing(sqlite3.connect(database, timeout=seconds)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def move_artifacts(database: Path, experiment_id: str, old: str, new: str) -> None:
    """Let an experiment of a project that was copied or renamed have its artifacts beside its own database.

    MLflow keeps absolute addresses. Those of runs change where their artifacts have come along; an address that this
    project has not chosen stays.

    Args:
        database: MLflow's SQLite file.
        experiment_id: of the experiment in it.
        old: address of its artifacts.
        new: the one it should have.
    """
    if old == new or not old.startswith("file:") or old.rpartition("/")[2] != _ARTIFACTS:
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment_id)
        )
        rows = connection.execute(
            "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?", (experiment_id,)
        ).fetchall()
        for run_id, address in rows:
            moved = f"{new}{address.removeprefix(old)}"
            if address.startswith(f"{old}/") and Path(unquote(urlsplit(moved).path)).exists():
                connection.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (moved, run_id))


def reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error: wrappers repeat addresses and arguments."""
    while (
        inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    ) is not None:
        error = inner
    text = str(error).strip() or type(error).__name__
    return without_password(text.splitlines()[0])[:_REASON_LIMIT].rstrip(".")


def _remedy(database: Path | None) -> str:
    if database is None:
        return "start the server"
    return f"see that {database.name} can be written"


@contextmanager
def _one_at_a_time(database: Path) -> Iterator[None]:
    """Of runs that start together on a new SQLite file, one makes its tables and the others wait."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=database.parent).close()  # a lock that cannot be written is waited for
    except OSError:
        raise OSError(f"{database.parent} cannot be written") from None
    with FileLock(database.with_name(f".{database.name}.lock"), timeout=_OTHERS_SECONDS):
        yield


def _experiment(store: Store, name: str, location: str | None) -> tuple[str, str]:
    """The experiment's id and the address of its artifacts; it is made where there is none."""
    experiment = store.call("get_experiment_by_name", name)
    if experiment is None:
        try:
            return str(store.call("create_experiment", name, artifact_location=location)), location or ""
        except Exception:  # on a server, another run may have been faster
            experiment = store.call("get_experiment_by_name", name)
            if experiment is None:
                raise
    return str(experiment.experiment_id), str(experiment.artifact_location)


def _limit_waiting(seconds: int) -> None:
    """An unreachable server must fail in seconds; MLflow's defaults wait for minutes. The user's own values
    stay."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(seconds))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
