"""Colours of surface points from posed images of the object, each point from the views that see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import project
from placid_kedro.errors import DataError, ParameterError, ShapeError

_SMALLEST_DEPTH = 1e-6
_COVERAGE_POWER = 8
# Grazed or half missed, a point's own pixels say less of it than its neighbours' do.
_SMALLEST_WEIGHT = 0.02


@dataclass(frozen=True)
class PointColors:
    """Colours of P points.

    Attributes:
        colors: [P, 3] float32 in [0, 1].
        seen: [P] bool, clearly by one view at least; the others took the colour of the nearest seen point.
    """

    colors: Tensor
    seen: Tensor


def planar_depth(points: Tensor, cameras: Cameras) -> Tensor:
    """[V, P] z of `points` [P, 3] in V cameras."""
    axis, offset = cameras.world_to_camera[:, 2, :3], cameras.world_to_camera[:, 2, 3]
    return axis @ points.T + offset[:, None]


def point_depth_maps(points: Tensor, cameras: Cameras, radius: float) -> Tensor:
    """Planar depth [V, H, W] of points drawn as squares that face the camera; infinite where there is none.

    Args:
        points: [P, 3].
        cameras: V views and their image size.
        radius: half an edge of the squares, in world units; the points' spacing closes the surface.

    Raises:
        ParameterError: for a radius that is not positive.
    """
    if radius <= 0:
        raise ParameterError(f"The points' radius must be positive, got {radius}.")
    width, height = cameras.width, cameras.height
    pixels = project(points, cameras).transpose(0, 1)
    depths = planar_depth(points, cameras)
    maps = points.new_full((len(cameras), height * width), torch.inf)
    for view in range(len(cameras)):
        depth = depths[view]
        column, row = pixels[view].floor().unbind(-1)
        reach = (cameras.K[view, 0, 0] * radius / depth.clamp(min=_SMALLEST_DEPTH)).round()
        inside = depth > _SMALLEST_DEPTH
        inside &= (column + reach >= 0) & (column - reach < width)
        inside &= (row + reach >= 0) & (row - reach < height)
        column, row, reach, depth = column[inside], row[inside], reach[inside], depth[inside]
        furthest = int(reach.max()) if len(reach) else -1
        for offset_y in range(-furthest, furthest + 1):
            for offset_x in range(-furthest, furthest + 1):
                x, y = column + offset_x, row + offset_y
                covers = (reach >= max(abs(offset_x), abs(offset_y))) & (x >= 0) & (x < width)
                covers &= (y >= 0) & (y < height)
                index = (y * width + x)[covers].long()
                maps[view].scatter_reduce_(0, index, depth[covers], "amin")
    return maps.reshape(len(cameras), height, width)


def color_points(
    points: Tensor,
    images: Tensor,
    cameras: Cameras,
    depth_maps: Tensor,
    *,
    normals: Tensor | None = None,
    alphas: Tensor | None = None,
    tolerance: float = 0.02,
    sharpness: float = 2.0,
) -> PointColors:
    """Blend the images' colours at the projections of points, weighted by visibility and viewing angle.

    A view counts when the point is not behind what its depth map holds, and as the cosine between normal and
    direction to the camera to the power of `sharpness`.

    Args:
        points: [P, 3].
        images: [V, 3, H, W] in [0, 1].
        cameras: the images' V views.
        depth_maps: [V, h, w] planar depth of the surface, infinite where there is none: `point_depth_maps`,
            or `render_density`'s depth divided by its occupancy.
        normals: [P, 3] of length one; None weighs all angles alike.
        alphas: [V, H, W] in [0, 1]; pixels under one half give no colour, and mixed ones hardly any where
            another view sees the point.
        tolerance: how far behind the depth map a point may lie, in world units.
        sharpness: 0 blends alike, larger values prefer the view that looks straightest.

    Raises:
        ShapeError: when images, depth maps or alphas do not belong to the cameras.
        DataError: when no view sees any of the points.
    """
    _check_views(images, cameras, depth_maps, alphas)
    pixels = project(points, cameras).transpose(0, 1)
    grid = 2 * pixels / pixels.new_tensor([cameras.width, cameras.height]) - 1
    depths = planar_depth(points, cameras)
    weights = ((grid.abs() <= 1).all(-1) & (depths > _SMALLEST_DEPTH)).float()
    surface = _lookup(depth_maps[:, None], grid, "nearest")[:, 0]
    weights = weights * (depths <= surface + tolerance)
    if normals is not None:
        towards = F.normalize(cameras.positions[:, None] - points, dim=-1)
        weights = weights * (towards * normals).sum(-1).clamp(min=0) ** sharpness
    if alphas is not None:
        coverage = _lookup(alphas[:, None], grid, "bilinear")[:, 0]
        weights = weights * coverage**_COVERAGE_POWER * (coverage >= 0.5)
    total = weights.sum(0)
    seen = total > _SMALLEST_WEIGHT
    if not bool(seen.any()):
        raise DataError("No view sees any of the points; check the cameras and the depth maps.")
    colors = _lookup(images, grid, "bilinear")
    blended = torch.einsum("vp,vcp->pc", weights, colors) / total.clamp(min=1e-12)[:, None]
    if not bool(seen.all()):
        _, nearest = cKDTree(points[seen].cpu().numpy()).query(points[~seen].cpu().numpy())
        blended[~seen] = blended[seen][torch.as_tensor(nearest, device=points.device)]
    return PointColors(blended.clamp(0, 1), seen)


def _check_views(images: Tensor, cameras: Cameras, depth_maps: Tensor, alphas: Tensor | None) -> None:
    expected = (len(cameras), 3, cameras.height, cameras.width)
    if images.shape != expected or depth_maps.dim() != 3 or len(depth_maps) != len(cameras):
        raise ShapeError(
            f"Colouring expects images {list(expected)} and as many depth maps, "
            f"got {list(images.shape)} and {list(depth_maps.shape)}."
        )
    if alphas is not None and alphas.shape != (expected[0], *expected[2:]):
        raise ShapeError(f"alphas must be {[expected[0], *expected[2:]]}, got {list(alphas.shape)}.")


def _lookup(maps: Tensor, grid: Tensor, mode: str) -> Tensor:
    """[V, C, P] values of `maps` [V, C, H, W] at `grid` [V, P, 2] in [-1, 1]; the border repeats."""
    sampled = F.grid_sample(
        maps, grid[:, :, None].to(maps), mode=mode, padding_mode="border", align_corners=False
    )
    return sampled[..., 0]
