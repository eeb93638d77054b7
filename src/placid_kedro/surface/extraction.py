"""From a density field to points on its surface (Sec. 4.2: 64^3 grid, iso level 15).

The field, the cameras and the splats share one world, so the only transform is the one from grid indices to
that world: the same scale on all axes, no reflection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from skimage.measure import marching_cubes
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras.rays import CUBE_HALF_EXTENT
from placid_kedro.errors import DataError, ParameterError
from placid_kedro.finite import check_finite

PAPER_LEVEL = 15.0
PAPER_RESOLUTION = 64

# Raw sigma [P] of points [P, 3].
DensityField = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Surface:
    """Triangles in the world, their corners counter-clockwise seen from outside.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int64.
    """

    vertices: Tensor
    faces: Tensor


@dataclass(frozen=True)
class SurfacePoints:
    """Points on a surface.

    Attributes:
        points: [P, 3] float32.
        normals: [P, 3] float32, of length one, outwards.
    """

    points: Tensor
    normals: Tensor


@torch.no_grad()
def density_grid(
    field: DensityField,
    resolution: int = PAPER_RESOLUTION,
    device: torch.device | str = "cpu",
    block_size: int = 65536,
) -> Tensor:
    """softplus(sigma) on a regular grid over the cube, its corners included.

    Args:
        field: raw sigma; called with at most `block_size` points.
        resolution: R, points along an edge, at least 2.
        device: where `field` takes its points.
        block_size: points that are evaluated at a time.

    Returns:
        [R, R, R] float32, indexed x, y, z.

    Raises:
        ParameterError: the resolution is too small.
        NumericError: the field is not finite somewhere.
    """
    if resolution < 2:
        raise ParameterError(f"A density grid needs a resolution of at least 2, got {resolution}.")
    blocks = cube_points(resolution).split(block_size)
    raw_sigma = torch.cat([field(block.to(device)).float().cpu() for block in blocks])
    check_finite({"density": raw_sigma}, "The density field", "check the plane's weights")
    return F.softplus(raw_sigma).reshape(resolution, resolution, resolution)


def cube_points(resolution: int) -> Tensor:
    """[R^3, 3] the points of a regular grid over the cube, its corners included, z fastest."""
    axis = torch.linspace(-CUBE_HALF_EXTENT, CUBE_HALF_EXTENT, resolution)
    return torch.cartesian_prod(axis, axis, axis)


def level_for_occupancy(occupancy: float, thickness: float) -> float:
    """The density at which a layer of `thickness` (world units) has `occupancy` in (0, 1)."""
    if not 0.0 < occupancy < 1.0 or thickness <= 0.0:
        raise ParameterError(
            f"A level needs an occupancy in (0, 1) and a thickness above 0, got {occupancy}, {thickness}."
        )
    return -math.log1p(-occupancy) / thickness


def iso_surface(grid: Tensor, level: float = PAPER_LEVEL) -> Surface:
    """Marching cubes on a density grid [R, R, R]; closed, also where the object reaches the cube's faces.

    Raises:
        DataError: when the density does not cross the level anywhere, or is no number.
    """
    if not bool(grid.isfinite().all()):
        raise DataError(
            "The density grid holds NaN or infinite values; the plane's weights or inputs are damaged."
        )
    lowest, highest = float(grid.min()), float(grid.max())
    if level >= highest or level <= 0:
        raise DataError(
            f"No surface at density {level:g}: the field lies between {lowest:g} and {highest:g}; "
            "choose a level below its maximum."
        )
    # A layer far below the level closes, right at the cube's faces, what reaches them.
    padded = F.pad(grid, (1,) * 6, value=-1e4 * highest).numpy()
    corners, faces, _, _ = marching_cubes(padded, level, gradient_direction="descent")
    edge = 2 * CUBE_HALF_EXTENT / (len(grid) - 1)
    vertices = (torch.from_numpy(corners.copy()) - 1) * edge - CUBE_HALF_EXTENT
    # scikit-image's triangles turn clockwise seen from outside.
    return Surface(vertices.float(), torch.from_numpy(faces.copy()).long().flip(1))


def sample_surface(surface: Surface, count: int, generator: torch.Generator) -> SurfacePoints:
    """`count` points distributed evenly over the surface's area, with their triangles' normals.

    Raises:
        DataError: for a surface without area.
    """
    corners = surface.vertices[surface.faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    doubled = torch.linalg.cross(first, second)
    areas = doubled.norm(dim=-1) / 2
    if len(areas) == 0 or not float(areas.sum()) > 0:
        raise DataError("The surface has no area to place points on.")
    cumulative = areas.double().cumsum(0)
    draws = torch.rand(count, generator=generator, dtype=torch.float64) * cumulative[-1]
    chosen = torch.searchsorted(cumulative, draws, right=True).clamp(max=len(areas) - 1)
    # Points of the parallelogram beyond the diagonal are turned back into the triangle.
    u, v = torch.rand(2, count, 1, generator=generator)
    beyond = u + v > 1
    u, v = torch.where(beyond, 1 - u, u), torch.where(beyond, 1 - v, v)
    points = corners[chosen, 0] + u * first[chosen] + v * second[chosen]
    return SurfacePoints(points, F.normalize(doubled[chosen], dim=-1))
