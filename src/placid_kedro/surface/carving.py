"""A density field without what the views do not show: space carving (Kutulakos and Seitz 2000), softly.

Latent-Plane reads its field where sampling begins and knows the reference alone there; the finished views know better
where the object ends. The paper takes the field as it is (Sec. 4.1).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import project
from placid_kedro.surface.coloring import planar_depth
from placid_kedro.surface.config import CarveParameters
from placid_kedro.surface.extraction import cube_points

_A_LITTLE = 0.2


def carve(density: Tensor, alphas: Tensor, cameras: Cameras, parameters: CarveParameters) -> Tensor:
    """Take from a density field what too few silhouettes hold.

    Args:
        density: [R, R, R] as `density_grid` gives it.
        alphas: [N, H, W] of the object in N views, in [0, 1]. A pixel that shows a little of it is in the silhouette:
            a thin part may cover no pixel whole.
        cameras: of the N views.
        parameters: which share of the views is too few.

    Returns:
        [R, R, R], nowhere above `density`.
    """
    support = silhouette_support((alphas > _A_LITTLE).float(), cameras, len(density))
    kept = (support - parameters.none_below) / (parameters.all_from - parameters.none_below)
    return density * kept.clamp(0, 1)


def silhouette_support(alphas: Tensor, cameras: Cameras, resolution: int) -> Tensor:
    """[R, R, R] mean over N silhouettes [N, H, W] of what each shows where a point of the grid is seen, in [0, 1].

    A point outside an image is outside that silhouette.
    """
    seen = look_up(alphas[:, None], cube_points(resolution), cameras)
    return seen.mean(dim=0).reshape(resolution, resolution, resolution)


def look_up(maps: Tensor, points: Tensor, cameras: Cameras) -> Tensor:
    """[N, C, P] what maps [N, C, H, W] of N views have where points [P, 3] are seen, bilinear; 0 outside of them."""
    pixels = project(points, cameras)
    height, width = maps.shape[-2:]
    places = pixels.movedim(1, 0)[:, None] / pixels.new_tensor([width, height]) * 2 - 1
    return F.grid_sample(maps, places, padding_mode="zeros", align_corners=False)[:, :, 0]


def unseen_through(points: Tensor, depth: Tensor, cameras: Cameras, tolerance: float) -> Tensor:
    """[P] whether no view sees past points [P, 3]: the object, as far as depth maps tell.

    Args:
        points: in the world.
        depth: [V, H, W] planar, 0 where there is nothing; a point outside an image is looked up at its border.
        cameras: of the V views.
        tolerance: a view sees past a point when its surface is this much further, in world units.
    """
    height, width = depth.shape[-2:]
    pixels = project(points, cameras).floor().long()
    x, y = pixels[..., 0].clamp(0, width - 1).T, pixels[..., 1].clamp(0, height - 1).T
    surface = torch.stack([view[v, u] for view, u, v in zip(depth, x, y, strict=True)])
    free = (surface == 0) | (planar_depth(points, cameras) < surface - tolerance)
    return ~free.any(dim=0)
