"""A short fit of the first Gaussians to posed views, before distillation.

The paper takes points on the density's surface with the views' mean colours as they are (Sec. 4.1). A small plane's
surface is coarse; the views know the silhouette to the pixel, and the fit moves, stretches, colours and fades the
Gaussians until they agree with all views.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from placid_kedro.cameras import Cameras
from placid_kedro.progress import SILENT, Progress
from placid_kedro.splats import Gaussians, TargetViews
from placid_kedro.splats.gaussians import neighbour_distance
from placid_kedro.surface.config import FitParameters

_ADAM_EPSILON = 1e-15


def fit_to_views(
    gaussians: Gaussians,
    views: TargetViews,
    parameters: FitParameters,
    generator: torch.Generator,
    progress: Progress = SILENT,
) -> Gaussians:
    """Optimise Gaussians until they look like the views.

    The loss is `TargetViews.error`. No Gaussian becomes longer than `longest` times the spacing of the start, so that
    there are no needles, nor thinner than `thinnest`; those that end more transparent than `minimum_opacity` are left
    out.

    Args:
        gaussians: the start.
        views: on the CPU.
        parameters: of the fit.
        generator: draws the views of each step, on the CPU.
        progress: shows the steps and receives the loss.
    """
    spacing = float(neighbour_distance(gaussians.means).median())
    longest = math.log(parameters.longest * spacing)
    thinnest = min(math.log(parameters.thinnest * _pixel(views.views.cameras)), longest)
    trained = gaussians.to_parameters()
    optimizer = _optimizer(trained, parameters)
    for step in progress.track(range(parameters.steps), description="fit to the views"):
        for group in optimizer.param_groups:
            group["lr"] = group["first_lr"] * parameters.final_rate ** (step / parameters.steps)
        loss = views.error(
            Gaussians.from_parameters(trained),
            count=parameters.views_per_step,
            silhouette_weight=parameters.silhouette_weight,
            generator=generator,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            trained["scales"].clamp_(min=thinnest, max=longest)
        progress.log_metrics(step, {"fit_loss": float(loss.detach())})
    fitted = Gaussians.from_parameters(trained).detach()
    return fitted.subset(fitted.opacities >= parameters.minimum_opacity)


def _pixel(cameras: Cameras) -> float:
    """Width of a pixel as the views show the cube's centre, world units, on average."""
    return float((cameras.positions.norm(dim=-1) / cameras.K[:, 0, 0]).mean())


def _optimizer(trained: dict[str, nn.Parameter], parameters: FitParameters) -> torch.optim.Adam:
    rates = {
        "means": parameters.position,
        "quats": parameters.rotation,
        "scales": parameters.scale,
        "opacities": parameters.opacity,
        "sh0": parameters.colour,
    }
    groups = [{"params": [trained[name]], "lr": rate, "first_lr": rate} for name, rate in rates.items()]
    return torch.optim.Adam(groups, eps=_ADAM_EPSILON)
