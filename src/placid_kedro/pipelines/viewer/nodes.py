"""Nodes of the stage `viewer`."""

from placid_kedro.config import EvaluationParameters, RunParameters
from placid_kedro.pipelines.types import Gaussians, PosedViews, Report, Tensor


def write_page(
    gaussians: Gaussians,
    initial_gaussians: Gaussians,
    reference: Tensor,
    views: PosedViews,
    report: Report,
    run: RunParameters,
    parameters: EvaluationParameters,
) -> str:
    """The object's page: splats to turn, the pictures it was made from, before and after distillation."""
    import torch

    from placid_kedro.cameras import ring
    from placid_kedro.pipelines.loading import start
    from placid_kedro.splats import render
    from placid_kedro.viewer.page import FirstLook, Moment, object_page

    start(run)
    look = FirstLook(parameters.elevation_deg, parameters.distance, parameters.field_of_view_deg)
    front = ring(1, look.elevation_deg, look.distance, look.field_of_view_deg, parameters.turntable_size)
    with torch.no_grad():
        moments = [
            Moment(name, render(at_that_time, front, torch.ones(3)).rgb[0].clamp(0, 1))
            for name, at_that_time in (
                ("before distillation", initial_gaussians),
                ("after distillation", gaussians),
            )
        ]
    return object_page(gaussians, reference, views, moments, report, look)
