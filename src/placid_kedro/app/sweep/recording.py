"""A sweep in MLflow: its run, one run inside it for each cell, and what they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kedro.io import CatalogProtocol

from placid_kedro.ablation.config import AblationParameters
from placid_kedro.ablation.pictures import from_sides
from placid_kedro.app.run_record import Source, model_sources, taken_models
from placid_kedro.app.runners.stamps import dataset_path
from placid_kedro.app.tracking import open_child, reopened, take_over
from placid_kedro.config import ModelsParameters, Parameters, TrackingParameters
from placid_kedro.files import content_hash, digest_of
from placid_kedro.surface.config import FileSource

_SIDES, _SIZE = 4, 256
# Before the names of what is measured of a finished object: beside it a run holds the curves of its stages.
MEASURE = "object/"


def sweep_sources(
    ablation: AblationParameters, models: ModelsParameters, cells: Iterable[Parameters], project_path: Path
) -> list[Source]:
    """What a whole sweep is made from: its prompts and the models of its cells."""
    prompts = Source("prompts", digest_of(ablation.prompts), "\n".join(ablation.prompts), "prompts")
    taken = {name for cell in cells for name in taken_models(cell)}
    return [prompts, *model_sources(models, project_path, taken)]


def cell_sources(parameters: Parameters, project_path: Path) -> list[Source]:
    """What one object is made from: its prompt, the models, and a point cloud where it starts from one."""
    sources = [Source("prompt", digest_of(parameters.prompt), parameters.prompt, "prompt")]
    if isinstance(parameters.init.source, FileSource):
        path = project_path / parameters.init.source.path
        sources.append(Source(path.name, content_hash(path)[:16], str(path), "initial points"))
    return [*sources, *model_sources(parameters.models, project_path, taken_models(parameters))]


def open_cell(
    tracking: TrackingParameters,
    project_path: Path,
    sweep_run: str,
    tags: Mapping[str, str],
    recorded_before: str,
) -> str:
    """The id of a cell's run inside the sweep's.

    Args:
        recorded_before: id of the run that an earlier sweep has left of a finished cell, or empty. It moves to this
            sweep; a new one is opened where the store does not hold it any more.
    """
    if recorded_before and take_over(tracking, project_path, sweep_run, recorded_before):
        return recorded_before
    return open_child(tracking, project_path, sweep_run, tags["mlflow.runName"], tags)


def record_cell(
    parameters: Parameters,
    project_path: Path,
    run_id: str,
    catalog: CatalogProtocol,
    kept: Iterable[str],
    measures: Mapping[str, float],
    failed: bool,
) -> None:
    """Complete a cell's run: its session has recorded only what it made itself.

    Args:
        parameters: of the cell.
        run_id: of its run.
        catalog: of the cell.
        kept: names of the datasets that the session did not make.
        measures: of the finished object.
        failed: whether the session failed.
    """
    tracker = reopened(parameters.tracking, project_path, run_id)
    for name in kept:
        dataset = catalog.get(name)
        path = dataset_path(dataset)
        if path is not None and (getattr(dataset, "metadata", None) or {}).get("mlflow"):
            tracker.log_artifact(path)
    tracker.log_inputs(cell_sources(parameters, project_path))
    if not failed:
        tracker.log_metrics(0, {f"{MEASURE}{name}": value for name, value in measures.items()})
        for name in ("gaussians", "initial_gaussians"):
            tracker.log_image(0, name, from_sides(catalog.load(name), _SIDES, _SIZE))
    tracker.end("FAILED" if failed else "FINISHED")
