"""From a density field and views to coloured Gaussians (Sec. 4.1, "initialization")."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from placid_kedro.cameras import PosedViews
from placid_kedro.splats import Gaussians, UnseenParameters, are_seen
from placid_kedro.splats.gaussians import neighbour_distance
from placid_kedro.surface.coloring import color_points, point_depth_maps
from placid_kedro.surface.config import InitLevel, IsoLevel, OccupancyLevel, RelativeLevel
from placid_kedro.surface.extraction import (
    SurfacePoints,
    iso_surface,
    level_for_occupancy,
    sample_surface,
)
from placid_kedro.surface.point_clouds import PointCloud

# Of Gaussians that hide what is behind them.
_OPAQUE = 0.99


def surface_points(
    density: Tensor, level: InitLevel, count: int, generator: torch.Generator
) -> SurfacePoints:
    """`count` points on the surface of a density grid [R, R, R].

    Raises:
        DataError: when the density does not cross the level anywhere.
    """
    match level:
        case IsoLevel():
            threshold = level.density
        case OccupancyLevel():
            threshold = level_for_occupancy(level.occupancy, level.thickness)
        case RelativeLevel():
            threshold = level.share * float(density.max())
    return sample_surface(iso_surface(density, threshold), count, generator)


def color_from_views(points: SurfacePoints, views: PosedViews, alphas: Tensor) -> PointCloud:
    """Colour surface points from N views, each from those that see it.

    Args:
        points: on the surface.
        views: the object's colours, as `cut_out` gives them: unmixed at its edge.
        alphas: [N, H, W] of the object in the views, in [0, 1].
    """
    spacing = float(neighbour_distance(points.points).median())
    depth_maps = point_depth_maps(points.points, views.cameras, spacing)
    colors = color_points(
        points.points,
        views.images,
        views.cameras,
        depth_maps,
        normals=points.normals,
        alphas=alphas,
        tolerance=2 * spacing,
    )
    return PointCloud(points.points, colors.colors, points.normals)


def gaussians_of(cloud: PointCloud, opacity: float, thickness: float) -> Gaussians:
    """One Gaussian a point, a disc across its normal where there is one."""
    return Gaussians.from_points(
        cloud.points, cloud.colors, normals=cloud.normals, opacity=opacity, thickness=thickness
    )


def without_hidden(gaussians: Gaussians, parameters: UnseenParameters) -> Gaussians:
    """Leave out the Gaussians that the others, were they opaque, would hide from all sides."""
    opaque = torch.full_like(gaussians.logit_opacities, _OPAQUE).logit()
    return gaussians.subset(are_seen(replace(gaussians, logit_opacities=opaque), parameters))
