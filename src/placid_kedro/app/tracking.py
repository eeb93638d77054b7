"""Runs recorded in MLflow through its client: parameters one a leaf, step metrics in batches, artifacts,
tags.

Everything of MLflow that this project uses is here; its import is slow and happens only when a run starts.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock

from placid_kedro.app.addresses import without_password
from placid_kedro.config import TrackingParameters
from placid_kedro.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from torch import Tensor

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 5.0
_SQLITE = "sqlite:///"
_CREATION_SECONDS = 60.0  # making the tables takes some ten
_BATCH_LIMIT = 100  # parameters or tags in one request, a limit of MLflow's interface
_METRIC_LIMIT = 1000
_VALUE_LIMIT = 6000
_REASON_LIMIT = 200
PARENT_TAG = "mlflow.parentRunId"


@dataclass(frozen=True)
class Source:
    """Something that a run is made from.

    Attributes:
        name: short, for tables.
        digest: tells one state of it from another, at most 36 characters.
        place: a path, an address or the text itself.
        context: what it is to the run, such as `prompts` or `model`.
    """

    name: str
    digest: str
    place: str
    context: str


class Tracker(Protocol):
    """One recorded run."""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record numbers of one step by name."""

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Record an image, float32 [3 or 4, H, W] in [0, 1]."""

    def log_artifact(self, path: Path) -> None:
        """Record a file or folder."""

    def log_input(self, source: Source) -> None:
        """Record something that the run was made from."""

    def end(self, succeeded: bool) -> None:
        """Send what is still waiting and close the run."""


class NoTracker:
    """Records nothing: tracking is switched off."""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Drop the numbers."""

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Drop the image."""

    def log_artifact(self, path: Path) -> None:
        """Drop the file."""

    def log_input(self, source: Source) -> None:
        """Drop the source."""

    def end(self, succeeded: bool) -> None:
        """Nothing to close."""


class MlflowTracker:
    """One MLflow run.

    A store that cannot be reached when the run starts is an error. When it fails later (a full disk, a
    server that went away), that is said once and the run goes on unrecorded: its files matter more than
    their record.
    """

    def __init__(self, client: "MlflowClient", run_id: str, batch_steps: int) -> None:
        self._client = client
        self.run_id = run_id
        self._batch_steps = batch_steps
        self._waiting: list[Metric] = []
        self._waiting_steps = 0
        self._last_flush = time.monotonic()
        self._broken = False

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record numbers of one step by name; they are sent in batches."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in metrics.items()]
        self._waiting_steps += 1
        if self._waiting_steps >= self._batch_steps or time.monotonic() - self._last_flush > _FLUSH_SECONDS:
            self._flush()

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Record an image under its name and step, as MLflow's image grids show them."""
        pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        self._send("log_image", pixels, key=name, step=step)

    def log_artifact(self, path: Path) -> None:
        """Record a file or folder under its own name."""
        if path.is_dir():
            self._send("log_artifacts", str(path), path.name)
        else:
            self._send("log_artifact", str(path))

    def log_input(self, source: Source) -> None:
        """Record something that the run was made from, as one of MLflow's datasets."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=source.name,
            digest=source.digest,
            source_type="local",
            source=json.dumps({"uri": source.place}),
        )
        self._send("log_inputs", [DatasetInput(dataset, [InputTag("mlflow.data.context", source.context)])])

    def end(self, succeeded: bool) -> None:
        """Send what is still waiting and close the run."""
        self._flush()
        self._send("set_terminated", status="FINISHED" if succeeded else "FAILED")

    def _flush(self) -> None:
        for batch in _chunks(self._waiting, _METRIC_LIMIT):
            self._send("log_batch", metrics=batch)
        self._waiting, self._waiting_steps, self._last_flush = [], 0, time.monotonic()

    def _send(self, method: str, *arguments: Any, **named: Any) -> None:
        if self._broken:
            return
        try:
            getattr(self._client, method)(self.run_id, *arguments, **named)
        except Exception as error:  # MLflow raises whatever its store, its server or the disk raises
            self._broken = True
            logger.warning("MLflow stopped recording this run, which goes on without it: %s", _reason(error))


def start_run(
    parameters: TrackingParameters,
    project_path: Path,
    name: str,
    values: Mapping[str, Any],
    tags: Mapping[str, str],
) -> MlflowTracker:
    """Open a run in MLflow.

    Args:
        parameters: which store and experiment; the environment variable `MLFLOW_TRACKING_URI` goes before
            its `uri`.
        project_path: folder that a relative SQLite path and the local artifacts are in.
        name: name of the run.
        values: nested parameters, recorded one a leaf as `group.name`.
        tags: of the run.

    Raises:
        TrackingError: the store cannot be reached or refuses the run.
    """
    from mlflow.entities import Param, RunTag

    with _store(parameters, project_path) as (client, experiment_id):
        run_id = parameters.run or _create_run(client, experiment_id, name)
        client.update_run(run_id, status="RUNNING")
        leaves = [Param(key, _text(value)) for key, value in flatten(values).items()]
        for batch in _chunks(leaves, _BATCH_LIMIT):
            client.log_batch(run_id, params=batch)
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    return MlflowTracker(client, run_id, parameters.batch_steps)


def open_child(
    parameters: TrackingParameters, project_path: Path, parent: str, name: str, tags: Mapping[str, str]
) -> str:
    """Open a run inside another; returns its id. Raises TrackingError as `start_run`."""
    with _store(parameters, project_path) as (client, experiment_id):
        run_id = _create_run(client, experiment_id, name)
        for key, value in {**tags, PARENT_TAG: parent}.items():
            client.set_tag(run_id, key, value)
    return run_id


def take_over(parameters: TrackingParameters, project_path: Path, parent: str, child: str) -> bool:
    """Put a run that was recorded before into another; False when the store does not hold it."""
    from mlflow.exceptions import MlflowException

    with _store(parameters, project_path) as (client, _):
        try:
            client.set_tag(child, PARENT_TAG, parent)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
    return True


def reopened(parameters: TrackingParameters, project_path: Path, run_id: str) -> MlflowTracker:
    """A run that was recorded before, to add to it. Raises TrackingError as `start_run`."""
    with _store(parameters, project_path) as (client, _):
        return MlflowTracker(client, run_id, parameters.batch_steps)


@contextmanager
def _store(parameters: TrackingParameters, project_path: Path) -> Iterator[tuple["MlflowClient", str]]:
    """A client of the tracking store and the id of the parameters' experiment, which is made where there is none;
    whatever the store raises is one sentence."""
    _limit_waiting(parameters.timeout_seconds)
    uri = tracking_uri(parameters, project_path)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of each failed attempt
    try:
        with _one_at_a_time(uri):
            client = MlflowClient(tracking_uri=uri)
            experiment_id = _experiment(client, parameters.experiment, uri, project_path)
        yield client, experiment_id
    except Exception as error:  # MLflow raises whatever its store or server raises
        raise TrackingError(
            f"The MLflow tracking store {without_password(uri)} cannot be used ({_reason(error)}); start the server, "
            "set MLFLOW_TRACKING_URI to another store, or run with --params tracking.enabled=false."
        ) from error


def _create_run(client: "MlflowClient", experiment_id: str, name: str) -> str:
    """A new run's id."""
    run_id: str = client.create_run(experiment_id, run_name=name).info.run_id
    return run_id


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Of runs that start together on a new SQLite file, one makes its tables and the others wait."""
    if not uri.startswith(_SQLITE):
        yield
        return
    database = Path(uri.removeprefix(_SQLITE))
    with FileLock(database.with_name(f".{database.name}.lock"), timeout=_CREATION_SECONDS):
        yield


def _experiment(client: "MlflowClient", name: str, uri: str, project_path: Path) -> str:
    """The experiment's id; it is made where there is none."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = (project_path / "mlruns").as_uri() if _is_local(uri) else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except Exception:  # on a server, another run may have been faster
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


def tracking_uri(parameters: TrackingParameters, project_path: Path) -> str:
    """The store's address; a relative SQLite path is taken from the project's folder."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or parameters.uri
    if uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).is_absolute():
        return f"{_SQLITE}{project_path / uri.removeprefix(_SQLITE)}"
    return uri


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _limit_waiting(seconds: int) -> None:
    """An unreachable server must fail in seconds; MLflow's defaults wait for minutes. The user's own values
    stay."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(seconds))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def _is_local(uri: str) -> bool:
    return uri.startswith(("sqlite:", "file:")) or "://" not in uri


def _text(value: Any) -> str:
    return str(value)[:_VALUE_LIMIT]


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error: wrappers repeat addresses and arguments."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    text = str(error).strip() or type(error).__name__
    return without_password(text.splitlines()[0])[:_REASON_LIMIT]
