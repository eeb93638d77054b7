"""A whole sweep: planned, priced, run, and put into one table."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from placid_kedro.ablation.comparison import SECONDS
from placid_kedro.ablation.config import AblationParameters
from placid_kedro.app.run_context import RunContext
from placid_kedro.app.sweep.cluster import check_folder, run_cells, sweep_client
from placid_kedro.app.sweep.plan import Cell, executions, plan_cells
from placid_kedro.app.sweep.recording import sweep_sources
from placid_kedro.app.sweep.worker import FAILED, CellResult, Sweep
from placid_kedro.app.tracking import MlflowTracker
from placid_kedro.config import ModelsParameters
from placid_kedro.config.check import check_parameters

logger = logging.getLogger("placid_kedro.run")


def run_sweep(
    ablation: AblationParameters, models: ModelsParameters, name: str, pipeline: Pipeline, run: RunContext
) -> pd.DataFrame:
    """Make every object of a sweep, or find it made; one row each, failed ones included.

    The first object is made alone: from its times the cost of the others is told before they start.

    Args:
        ablation: which objects.
        models: that they are made with.
        name: of the pipeline that makes one object.
        pipeline: the same.
        run: of the sweep's own session.

    Returns:
        The columns of `placid_kedro.ablation.comparison.IDENTITY`, `seconds/STAGE` of the stages that were run for the
        object, and one column a measure.

    Raises:
        PlacidError: a variant, a prompt or the scheduler's address cannot be used, or a worker there cannot work.
    """
    source = run.source
    assert source is not None, "a sweep is run in a session"
    cells = plan_cells(source, ablation, pipeline)
    _tell_size(ablation, cells, executions(cells, pipeline))
    recorded = run.tracker.run_id if isinstance(run.tracker, MlflowTracker) else ""
    checked = [check_parameters(cell.parameters) for cell in cells]
    run.tracker.log_inputs(sweep_sources(ablation, models, checked, source.project_path))
    sweep = Sweep(ablation.name, ablation.variants, name, source, recorded)
    results: dict[int, CellResult] = {}
    started = time.monotonic()
    with sweep_client(ablation.scheduler, ablation.workers) as client:
        check_folder(client, source.project_path)
        for part in (cells[:1], cells[1:]):
            for cell, result in run.progress.track(
                run_cells(sweep, part, client), total=len(part), description="objects"
            ):
                results[cell.index] = result
                _tell_failure(cell, result)
            if part == cells[:1]:
                workers = max(1, len(client.nthreads()))
                _tell_cost(results[0], executions(cells, pipeline), len(cells), workers)
    _tell_end(list(results.values()), time.monotonic() - started)
    return pd.DataFrame([_row(cell, results[cell.index]) for cell in cells])


def _row(cell: Cell, result: CellResult) -> dict[str, Any]:
    return {
        "variant": cell.variant,
        "prompt": cell.prompt,
        "seed": cell.seed,
        "status": result.status,
        "sentence": result.sentence,
        "seconds": result.seconds,
        "folder": result.folder,
        "mlflow_run": result.mlflow_run,
        **{f"{SECONDS}{stage}": seconds for stage, seconds in result.stage_seconds.items()},
        **result.measures,
    }


def _tell_size(ablation: AblationParameters, cells: Sequence[Cell], counts: Mapping[str, int]) -> None:
    logger.info(
        "sweep %s: %d objects (%d variants, %d prompts, %d seeds); stages to run: %s",
        ablation.name,
        len(cells),
        len(ablation.variants),
        len(ablation.prompts),
        len(ablation.seeds),
        ", ".join(f"{stage} {count}" for stage, count in counts.items()),
    )


def _tell_cost(first: CellResult, counts: Mapping[str, int], cells: int, workers: int) -> None:
    """What the rest costs: each stage as long as it took for the first object."""
    if first.status == FAILED:
        logger.info("the first object failed, so that the cost of the others is not known")
        return
    known = {stage: first.stage_seconds.get(stage, 0.0) for stage in counts}
    seconds = sum(max(0, counts[stage] - 1) * known[stage] for stage in counts) / workers
    logger.info(
        "the first object took %.0f s; the other %d take about %.0f minutes on %d worker%s (less what is made already)",
        sum(known.values()),
        cells - 1,
        seconds / 60,
        workers,
        "" if workers == 1 else "s",
    )


def _tell_failure(cell: Cell, result: CellResult) -> None:
    if result.status == FAILED:
        logger.warning("%s failed: %s", cell.label, result.sentence)


def _tell_end(results: Sequence[CellResult], seconds: float) -> None:
    failed = sum(result.status == FAILED for result in results)
    logger.info("%d objects in %.0f minutes, %d of them failed", len(results), seconds / 60, failed)
