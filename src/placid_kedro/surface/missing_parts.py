"""Points where all views show the object and the first Gaussians show nothing: arms, handles, stands.

A small plane's density has no thin parts, and the paper takes its surface as it is (Sec. 4.1). The views' visual hull
(Laurentini 1994) alone is too fat; what it holds *and* several views lack is a thin part, seldom more.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras, PosedViews
from placid_kedro.splats import Gaussians, render
from placid_kedro.splats.gaussians import neighbour_distance
from placid_kedro.surface.carving import look_up
from placid_kedro.surface.config import MissingPartsParameters
from placid_kedro.surface.extraction import cube_points

_SMALLEST_WEIGHT = 1e-4


def add_missing_parts(
    gaussians: Gaussians,
    views: PosedViews,
    alphas: Tensor,
    parameters: MissingPartsParameters,
    opacity: float,
    generator: torch.Generator,
) -> Gaussians:
    """Add Gaussians where the views show what the others lack.

    Args:
        gaussians: the start, on the density's surface.
        views: the object's colours in N of them, as `cut_out` gives them: unmixed at its edge.
        alphas: [N, H, W] of the object in the views, in [0, 1].
        parameters: where a part is missing.
        opacity: of a new Gaussian.
        generator: draws the points, on the CPU.

    Returns:
        The Gaussians given and, behind them, `parameters.most` new ones at most, balls no larger than the spacing of
        the others, in the colours of the views that lack them.
    """
    lacking = lacking_alphas(gaussians, views.cameras, alphas)
    points = cube_points(parameters.resolution)
    support = look_up((alphas > 0).float()[:, None], points, views.cameras)[:, 0].mean(dim=0)
    lack = look_up(lacking[:, None], points, views.cameras)[:, 0].sum(dim=0)
    found = torch.nonzero((support >= parameters.support) & (lack >= parameters.lacking)).flatten()
    if len(found) < 2:  # a single point has no size
        return gaussians
    chosen = points[found[torch.randperm(len(found), generator=generator)[: parameters.most]]]
    chosen = chosen + (torch.rand(chosen.shape, generator=generator) - 0.5) / parameters.resolution
    weights = look_up(lacking[:, None], chosen, views.cameras).clamp_min(_SMALLEST_WEIGHT)
    colors = (weights * look_up(views.images, chosen, views.cameras)).sum(dim=0) / weights.sum(dim=0)
    added = Gaussians.from_points(chosen, colors.T, opacity=opacity, sh_degree=gaussians.sh_degree)
    largest = math.log(float(neighbour_distance(gaussians.means).median()))
    added.log_scales.clamp_(max=largest)
    return gaussians.followed_by(added)


def lacking_alphas(gaussians: Gaussians, cameras: Cameras, alphas: Tensor) -> Tensor:
    """[N, H, W] share of each pixel that shows the object and neither there nor beside it a Gaussian."""
    with torch.no_grad():
        seen = render(gaussians, cameras, torch.ones(3)).alpha
    return alphas * (1 - F.max_pool2d(seen, 3, stride=1, padding=1)[:, 0]).clamp(0, 1)
