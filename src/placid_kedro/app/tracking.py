"""Runs recorded in MLflow through its client: parameters one a leaf, step metrics in batches, artifacts,
tags.

Everything of MLflow that this project uses is here; its import is slow and happens only when a run starts.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from PIL import Image

from placid_kedro.app.experiment_page import choose_columns, how_to_see
from placid_kedro.app.killed_runs import PROCESS_TAG, close_killed_runs, this_process
from placid_kedro.app.run_record import RunRecord, Source, flatten
from placid_kedro.app.tracking_store import Store, open_store, reason, tracking_uri
from placid_kedro.config import TrackingParameters

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from torch import Tensor

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 5.0
_BATCH_LIMIT = 100  # parameters or tags in one request, a limit of MLflow's interface
_METRIC_LIMIT = 1000
_VALUE_LIMIT = 6000
_IMAGE_REQUESTS = 6  # MLflow sends an image, a small copy of it and a tag
PARENT_TAG = "mlflow.parentRunId"


RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker(Protocol):
    """One recorded run.

    Attributes:
        address: where people see it; empty where nothing is recorded.
    """

    address: str

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record numbers of one step by name."""

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Record an image, float32 [3 or 4, H, W] in [0, 1]."""

    def log_artifact(self, path: Path) -> None:
        """Record a file or folder."""

    def log_inputs(self, sources: Iterable[Source]) -> None:
        """Record what the run was made from."""

    def end(self, status: RunStatus) -> None:
        """Send what is still waiting and close the run."""


class NoTracker:
    """Records nothing: tracking is switched off."""

    address = ""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Drop the numbers."""

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Drop the image."""

    def log_artifact(self, path: Path) -> None:
        """Drop the file."""

    def log_inputs(self, sources: Iterable[Source]) -> None:
        """Drop the sources."""

    def end(self, status: RunStatus) -> None:
        """Nothing to close."""


class MlflowTracker:
    """One MLflow run.

    A store that cannot be reached when the run starts is an error. When it fails later (a full disk, a
    server that went away), that is said once and the run goes on unrecorded: its files matter more than
    their record.
    """

    def __init__(self, store: Store, run_id: str, batch_steps: int, address: str = "") -> None:
        self._store = store
        self.run_id = run_id
        self.address = address
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
        self._send("log_image", pixels, requests=_IMAGE_REQUESTS, size=pixels.size, key=name, step=step)

    def log_artifact(self, path: Path) -> None:
        """Record a file or folder under its own name; a picture also as an image, under its name."""
        if path.suffix == ".png" and path.is_file():
            with Image.open(path) as picture:
                size = 4 * picture.width * picture.height
                self._send("log_image", picture, requests=_IMAGE_REQUESTS, size=size, key=path.stem, step=0)
        if path.is_dir():
            sizes = [inner.stat().st_size for inner in path.rglob("*") if inner.is_file()]
            self._send("log_artifacts", str(path), path.name, requests=2 + len(sizes), size=sum(sizes))
        else:
            size = path.stat().st_size if path.is_file() else 0
            self._send("log_artifact", str(path), requests=2, size=size)

    def log_inputs(self, sources: Iterable[Source]) -> None:
        """Record what the run was made from, as MLflow's datasets."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=source.name,
                    digest=source.digest,
                    source_type="local",
                    source=json.dumps({"uri": source.place}),
                ),
                [InputTag("mlflow.data.context", source.context)],
            )
            for source in sources
        ]
        if inputs:
            self._send("log_inputs", inputs)

    def end(self, status: RunStatus) -> None:
        """Send what is still waiting and close the run."""
        self._flush()
        self._send("set_terminated", status=status)

    def _flush(self) -> None:
        for batch in _chunks(self._waiting, _METRIC_LIMIT):
            self._send("log_batch", metrics=batch)
        self._waiting, self._waiting_steps, self._last_flush = [], 0, time.monotonic()

    def _send(self, method: str, *arguments: Any, **named: Any) -> None:
        if self._broken:
            return
        try:
            self._store.call(method, self.run_id, *arguments, **named)
        except Exception as error:  # MLflow raises whatever its store, its server or the disk raises
            self._broken = True
            logger.warning("MLflow stopped recording this run, which goes on without it: %s", reason(error))


def start_run(parameters: TrackingParameters, project_path: Path, record: RunRecord) -> MlflowTracker:
    """Open a run in MLflow, and close those that a kill left open on this machine.

    Args:
        parameters: which store and experiment; the environment variable `MLFLOW_TRACKING_URI` goes before
            its `uri`.
        project_path: folder that a relative SQLite path and the local artifacts are in.
        record: name, parameters, tags and sources of the run.

    Raises:
        TrackingError: the store cannot be reached or refuses the run.
    """
    with open_store(parameters, project_path) as (store, experiment_id):
        close_killed_runs(store, experiment_id)
        choose_columns(store, experiment_id)
        run_id = parameters.run or _create_run(store, experiment_id, record.name)
        store.call("update_run", run_id, status="RUNNING")
        _log_record(store, run_id, record)
    address = how_to_see(tracking_uri(parameters, project_path), project_path, experiment_id, record.page)
    tracker = MlflowTracker(store, run_id, parameters.batch_steps, address)
    tracker.log_inputs(record.sources)
    return tracker


def _log_record(store: Store, run_id: str, record: RunRecord) -> None:
    from mlflow.entities import Param, RunTag

    leaves = [Param(key, _text(value)) for key, value in flatten(record.values).items()]
    for batch in _chunks(leaves, _BATCH_LIMIT):
        store.call("log_batch", run_id, params=batch)
    tags = {**record.tags, PROCESS_TAG: this_process()}
    store.call("log_batch", run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    store.call("log_text", run_id, record.packages, "environment.txt", requests=2, size=len(record.packages))


def open_child(
    parameters: TrackingParameters, project_path: Path, parent: str, name: str, tags: Mapping[str, str]
) -> str:
    """Open a run inside another; returns its id. Raises TrackingError as `start_run`."""
    with open_store(parameters, project_path) as (store, experiment_id):
        return _create_run(store, experiment_id, name, {**tags, PARENT_TAG: parent})


def take_over(parameters: TrackingParameters, project_path: Path, parent: str, child: str) -> bool:
    """Put a run that was recorded before into another; False when the store does not hold it."""
    from mlflow.exceptions import MlflowException

    with open_store(parameters, project_path) as (store, _):
        try:
            store.call("set_tag", child, PARENT_TAG, parent)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
    return True


def reopened(parameters: TrackingParameters, project_path: Path, run_id: str) -> MlflowTracker:
    """A run that was recorded before, to add to it. Raises TrackingError as `start_run`."""
    with open_store(parameters, project_path) as (store, _):
        return MlflowTracker(store, run_id, parameters.batch_steps)


def _create_run(store: Store, experiment_id: str, name: str, tags: Mapping[str, str] | None = None) -> str:
    """A new run's id."""
    run_id: str = store.call("create_run", experiment_id, run_name=name, tags=dict(tags or {})).info.run_id
    return run_id


def _text(value: Any) -> str:
    return str(value)[:_VALUE_LIMIT]


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
