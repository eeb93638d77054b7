"""Nodes of the stage `filter`."""

import logging
from typing import Any

from placid_kedro.app.run_context import current_run
from placid_kedro.config import FilterParameters, IngestParameters, RenderParameters, RunParameters, ScoreRule
from placid_kedro.pipelines.types import DataFrame, Figure, TrainingSet

logger = logging.getLogger(__name__)


def apply_filters(
    objects: DataFrame, run: RunParameters, renders: RenderParameters, parameters: FilterParameters
) -> DataFrame:
    """Reject the objects that break a rule, and count them by reason."""
    from placid_kedro.objects.filters import filter_objects
    from placid_kedro.objects.render_stage import views_folder
    from placid_kedro.objects.table import count_by_reason, describe_counts

    scorer = _scorer(parameters.score, run) if parameters.score.enabled else None
    progress = current_run().progress
    table = filter_objects(objects, views_folder(renders), parameters, scorer, progress)
    progress.log_metrics(0, {f"filter/{reason}": count for reason, count in count_by_reason(table).items()})
    logger.info("filter: %s", describe_counts(table))
    return table


def _scorer(rule: ScoreRule, run: RunParameters) -> Any:
    from placid_kedro.pipelines.loading import folder_of, start

    device = start(run)
    if rule.kind == "clip":
        from placid_kedro.evaluation.scorers.clip import load_clip

        return load_clip(rule.scorer, rule.views, device, "filter.score.scorer")
    from placid_kedro.embedded.networks.scorer import load_scorer

    return load_scorer(folder_of(rule.scorer))


def finish_set(
    objects: DataFrame,
    seed: int,
    ingest: IngestParameters,
    renders: RenderParameters,
    parameters: FilterParameters,
) -> tuple[TrainingSet, Figure]:
    """The training set with its card, and the chart of reasons."""
    from placid_kedro.objects.render_stage import RenderPlan, views_folder
    from placid_kedro.objects.training_set import TrainingSet, reasons_figure

    provenance = {
        "objaverse_ingest": ingest.model_dump(mode="json", exclude={"converted"}),
        "syncdreamer_render": RenderPlan(renders, seed).provenance(),
        "filter": parameters.model_dump(mode="json"),
    }
    finished = TrainingSet(objects, views_folder(renders), provenance, parameters.sheet_objects)
    return finished, reasons_figure(objects)
