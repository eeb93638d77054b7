"""Nodes of the stage `viewer`."""

from placid_kedro.config import BsdParameters, EvaluationParameters
from placid_kedro.pipelines.types import Gaussians, PosedViews, Report, Tensor


def write_page(
    gaussians: Gaussians,
    optimisation: PosedViews,
    reference: Tensor,
    views: PosedViews,
    report: Report,
    distilled: BsdParameters,
    parameters: EvaluationParameters,
) -> str:
    """The object's page: splats to turn, the pictures it was made from, its optimisation moment by moment."""
    from placid_kedro.viewer.page import FirstLook, Moment, object_page

    steps = distilled.film.steps_of(distilled.steps)
    moments = [
        Moment(f"step {step} of {distilled.steps}", image)
        for step, image in zip(steps, optimisation.images, strict=True)
    ]
    look = FirstLook(parameters.elevation_deg, parameters.distance, parameters.field_of_view_deg)
    return object_page(gaussians, reference, views, moments, report, look)
