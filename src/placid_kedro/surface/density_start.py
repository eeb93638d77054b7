"""The first Gaussians, from Latent-Plane's density field and the views (Sec. 4.1, "initialization").

The paper takes points on the field's surface in the views' colours. A small plane's surface is coarse, so that the
embedded default does more; with `carve`, `missing_parts`, `unseen` and `fit` at null it is the paper's.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from placid_kedro.cameras import PosedViews
from placid_kedro.errors import DataError
from placid_kedro.progress import SILENT, Progress
from placid_kedro.randomness import stage_generator
from placid_kedro.splats import Gaussians, TargetViews
from placid_kedro.surface.background import cut_out
from placid_kedro.surface.carving import carve
from placid_kedro.surface.config import DensitySource, InitParameters
from placid_kedro.surface.fitting import fit_to_views
from placid_kedro.surface.initial_points import (
    color_from_views,
    gaussians_of,
    surface_points,
    without_hidden,
)
from placid_kedro.surface.missing_parts import add_missing_parts


def gaussians_from_density(
    field: Tensor,
    views: PosedViews,
    source: DensitySource,
    parameters: InitParameters,
    seed: int,
    progress: Progress = SILENT,
) -> Gaussians:
    """Gaussians on the surface of a density field, fitted to the views.

    Args:
        field: [R, R, R] softplus(sigma) over the cube, indexed x, y, z.
        views: N of them, RGB over white.
        source: where the surface is, and what is done beyond the paper.
        parameters: of the points.
        seed: of the points, of those that are added, and of the views of each step of the fit.
        progress: shows the steps of the fit.

    Raises:
        DataError: the field is empty, or does not cross the level anywhere.
    """
    if not bool(field.any()):
        raise DataError(
            "The views were made without Latent-Plane, so there is no density field; run the stage multiview again "
            "with a plane, or give init.source another kind."
        )
    objects = cut_out(views.images, source.hole_tolerance)
    alphas, unmixed = objects[:, 3], replace(views, images=objects[:, :3])
    if source.carve is not None:
        field = carve(field, alphas, views.cameras, source.carve)
    points = surface_points(field, source.level, parameters.points, stage_generator(seed, "init"))
    cloud = color_from_views(points, unmixed, alphas)
    gaussians = gaussians_of(cloud, parameters.opacity, parameters.thickness)
    if source.missing_parts is not None:
        generator = stage_generator(seed, "missing_parts")
        gaussians = add_missing_parts(
            gaussians, unmixed, alphas, source.missing_parts, parameters.opacity, generator
        )
    if source.unseen is not None:
        gaussians = without_hidden(gaussians, source.unseen)
    if source.fit is None:
        return gaussians
    target = TargetViews(views, alphas)
    return fit_to_views(gaussians, target, source.fit, stage_generator(seed, "fit"), progress)
