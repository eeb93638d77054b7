"""One cell of a sweep on a worker: a session of this project, its record in MLflow, and what became of it.

A worker keeps the models that it has loaded; one cell runs at a time in each.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.config import AbstractConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import configure_project, pipelines, settings
from kedro.framework.session import KedroSession
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from placid_kedro.ablation.comparison import FINISHED, measures
from placid_kedro.app.failures import sentence_for
from placid_kedro.app.hooks import TrackingHooks
from placid_kedro.app.run_context import SessionSource
from placid_kedro.app.runners import StampedRunner
from placid_kedro.app.runners.stamps import Stamps, dataset_path
from placid_kedro.app.sweep.plan import Cell
from placid_kedro.app.sweep.recording import open_cell, record_cell
from placid_kedro.app.variants import experiment_of
from placid_kedro.config.check import check_parameters
from placid_kedro.files import new_file
from placid_kedro.prompts import run_folder

FAILED = "failed"
RECORD, LOG = "cell.json", "cell.log"
# Hooks belong to the process: two sessions at once would mix their records.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Sweep:
    """What all cells of a sweep have in common.

    Attributes:
        name: of the sweep.
        variants: all of them: where a cell looks for what it shares with others.
        pipeline: name of the pipeline that each cell runs.
        source: of the sweep's own session.
        mlflow_run: id of the run that the cells' runs belong to; empty without MLflow.
    """

    name: str
    variants: tuple[str, ...]
    pipeline: str
    source: SessionSource
    mlflow_run: str


@dataclass(frozen=True)
class CellResult:
    """What became of a cell.

    Attributes:
        status: `finished` or `failed`.
        sentence: why it failed; empty when it did not.
        seconds: on the worker, this time.
        stage_seconds: of the stages that were run for it, this time or by an earlier run of the sweep.
        folder: of the object, under the project's folder.
        mlflow_run: id of its run; empty without MLflow.
        measures: of the object, by the report's names.
    """

    status: str
    sentence: str = ""
    seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    folder: str = ""
    mlflow_run: str = ""
    measures: dict[str, float] = field(default_factory=dict)


def run_cell(sweep: Sweep, cell: Cell) -> CellResult:
    """Make one object, or find it made already; an error becomes a failed result."""
    started = time.monotonic()
    with _ONE_AT_A_TIME:
        os.chdir(sweep.source.project_path)
        configure_project("placid_kedro")
        try:
            result = _make(sweep, cell)
        except Exception as error:  # one object must not end the sweep
            logging.getLogger("placid_kedro").exception("%s failed", cell.label)
            result = CellResult(FAILED, sentence=_sentence(error))
    return CellResult(**{**asdict(result), "seconds": time.monotonic() - started})


def _make(sweep: Sweep, cell: Cell) -> CellResult:
    pipeline = pipelines[sweep.pipeline]
    session = _session(sweep.source, cell.parameters)
    catalog = session.context.catalog
    folder = _folder(catalog)
    stale = _stale_after_adopting(sweep, cell, pipeline, catalog)
    earlier = _read_record(folder / RECORD)
    parameters = check_parameters(cell.parameters)
    tracking = parameters.tracking
    run_id = ""
    if sweep.mlflow_run:
        run_id = open_cell(
            tracking,
            sweep.source.project_path,
            sweep.mlflow_run,
            _tags(sweep, cell),
            recorded_before="" if stale else earlier.get("mlflow_run", ""),
        )
    stage_seconds = dict(earlier.get("stage_seconds", {}))
    sentence = ""
    if stale:
        try:
            stage_seconds |= _run(session, sweep.pipeline, cell, folder / LOG, run_id)
        except Exception as error:
            sentence = _sentence(error)
    result = CellResult(
        status=FAILED if sentence else FINISHED,
        sentence=sentence,
        stage_seconds=stage_seconds,
        folder=os.path.relpath(folder, sweep.source.project_path),
        mlflow_run=run_id,
        measures={} if sentence else measures(json.loads((folder / "report.json").read_text())),
    )
    if run_id and run_id != earlier.get("mlflow_run", ""):
        kept = [name for node in pipeline.nodes if node.name not in stale for name in node.outputs]
        record_cell(
            parameters,
            sweep.source.project_path,
            run_id,
            catalog,
            kept,
            result.measures,
            failed=bool(sentence),
        )
    with new_file(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(asdict(result), indent=1) + "\n")
    return result


class CellSession(KedroSession):
    """A session with its whole tree of parameters given, whose context is made once though the cell looks at its
    artifacts before it runs."""

    @cached_property
    def context(self) -> KedroContext:
        return super().load_context()

    def load_context(self) -> KedroContext:
        """The session's only context."""
        return self.context

    def _get_config_loader(self) -> AbstractConfigLoader:
        loader: AbstractConfigLoader = super()._get_config_loader()
        loader["parameters"] = self.store["runtime_params"]
        return loader


def _session(source: SessionSource, parameters: Mapping[str, Any]) -> CellSession:
    session = CellSession.create(
        project_path=source.project_path,
        conf_source=source.conf_source,
        env=source.env,
        runtime_params=dict(parameters),
        save_on_close=False,
    )
    assert isinstance(session, CellSession), "a session's own class creates it"
    return session


def _stale_after_adopting(sweep: Sweep, cell: Cell, pipeline: Pipeline, catalog: CatalogProtocol) -> set[str]:
    """Names of the nodes that have to run, after what other variants have made alike is taken over."""
    own, *others = (
        run_folder(experiment_of(sweep.name, variant), cell.prompt, cell.seed)
        for variant in (cell.variant, *(name for name in sweep.variants if name != cell.variant))
    )
    stamps = Stamps(pipeline, catalog)
    for node in pipeline.nodes:
        stamps.adopt(node, own, others)
    return {node.name for node in pipeline.nodes if stamps.is_stale(node)}


def _run(session: CellSession, pipeline: str, cell: Cell, log: Path, run_id: str) -> dict[str, float]:
    """Run what is not up to date; seconds of the stages that ran."""
    tracking = {**cell.parameters["tracking"], "run": run_id, "enabled": bool(run_id)}
    session.context.config_loader["parameters"] = {**cell.parameters, "tracking": tracking}
    with _logged_to(log), session:
        session.run(pipeline_names=[pipeline], runner=StampedRunner(), only_missing_outputs=True)
    (hooks,) = (hooks for hooks in settings.HOOKS if isinstance(hooks, TrackingHooks))
    return dict(hooks.stage_seconds)


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """What a session says goes into a file: many of them speak at once on a terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    silenced = {logger: logger.handlers[:] for logger in (root, logging.getLogger("placid_kedro"))}
    with path.open("a", encoding="utf-8") as stream, redirect_stderr(stream):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        for logger in silenced:
            logger.handlers = []
        root.addHandler(handler)
        try:
            yield
        except Exception:
            logging.getLogger("placid_kedro").exception("the run failed")
            raise
        finally:
            for logger, handlers in silenced.items():
                logger.handlers = handlers


def _sentence(error: Exception) -> str:
    """The sentence of an error that the project foresees, else its type and first line."""
    lines = str(error).strip().splitlines()
    return sentence_for(error) or f"{type(error).__name__}: {lines[0] if lines else 'no more is known'}"


def _tags(sweep: Sweep, cell: Cell) -> dict[str, str]:
    return {
        "mlflow.runName": cell.label,
        "sweep": sweep.name,
        "variant": cell.variant,
        "prompt": cell.prompt,
        "seed": str(cell.seed),
    }


def _folder(catalog: CatalogProtocol) -> Path:
    path = dataset_path(catalog.get("report"))
    assert path is not None, "the report lies on disk"
    return path.parent


def _read_record(path: Path) -> dict[str, Any]:
    """What an earlier run of the sweep noted; nothing when it did not come so far."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record
