"""Rays through the object's cube, projection into views, volume rendering's weights (Eq. 3, 7, 8, App. D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from placid_kedro.cameras.camera import Cameras

CUBE_HALF_EXTENT = 0.5
MissedRays = Literal["empty", "crossed"]


def cube_interval(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the cube [-0.5, 0.5]^3, both [...], in units of the directions' length.

    A ray misses the cube where the first is not smaller than the second, or the second is negative.
    """
    tiny = torch.finfo(directions.dtype).tiny
    slopes = torch.where(directions.abs() < tiny, torch.full_like(directions, tiny), directions)
    first = (-CUBE_HALF_EXTENT - origins) / slopes
    second = (CUBE_HALF_EXTENT - origins) / slopes
    return torch.minimum(first, second).amax(-1), torch.maximum(first, second).amin(-1)


@dataclass(frozen=True)
class RaySamples:
    """S points on each of R rays.

    Attributes:
        points: [R, S, 3].
        depths: [R, S] distances from the origin in units of the direction (planar depth for `Cameras.rays`).
        distances: [R, S] between neighbours; the last one repeated.
        used: [R] bool; points of the other rays are not to be evaluated.
    """

    points: Tensor
    depths: Tensor
    distances: Tensor
    used: Tensor


def sample_rays(
    origins: Tensor, directions: Tensor, count: int, missed_rays: MissedRays = "empty"
) -> RaySamples:
    """`count` evenly spaced points from where a ray enters the cube to where it leaves it, both included.

    Args:
        origins: [R, 3].
        directions: [R, 3].
        count: points a ray, at least 2.
        missed_rays: what to do with a ray outside the cube: leave it "empty", or, as the authors' code does,
            sample the stretch between the "crossed" ends of the intervals.
    """
    near, far = cube_interval(origins, directions)
    hit = (near < far) & (far > 0)
    if missed_rays == "crossed":
        near, far = torch.where(hit, near, far), torch.where(hit, far, near)
        used = torch.ones_like(hit)
    else:
        # A camera inside the cube sees only what lies before it.
        near = torch.where(hit, near.clamp(min=0.0), torch.zeros_like(near))
        far = torch.where(hit, far, torch.zeros_like(far))
        used = hit
    steps = torch.linspace(0.0, 1.0, count, dtype=origins.dtype, device=origins.device)
    depths = near[:, None] + (far - near)[:, None] * steps
    distances = depths.diff(dim=-1)
    distances = torch.cat([distances, distances[:, -1:]], dim=-1)
    points = origins[:, None, :] + directions[:, None, :] * depths[..., None]
    return RaySamples(points, depths, distances, used)


def project(points: Tensor, cameras: Cameras) -> Tensor:
    """Pixel coordinates [P, N, 2] of `points` [P, 3] in N cameras; a pixel's centre is at half-integers."""
    world_to_camera, K = cameras.world_to_camera.to(points), cameras.K.to(points)
    projection = K @ world_to_camera[:, :3, :]
    homogeneous = torch.einsum("nij,pj->pni", projection[..., :3], points) + projection[..., 3]
    depth = homogeneous[..., 2:]
    tiny = torch.finfo(points.dtype).tiny
    return homogeneous[..., :2] / torch.where(depth.abs() < tiny, torch.full_like(depth, tiny), depth)


def compositing_weights(raw_sigma: Tensor, distances: Tensor) -> Tensor:
    """Volume rendering weights `T_k (1 - exp(-softplus(sigma_k) d_k))` (Eq. 7-8).

    Args:
        raw_sigma: [..., S] density before softplus.
        distances: [..., S] length that each sample stands for.

    Returns:
        [..., S] non-negative, summing to at most one: the sum is the ray's occupancy.
    """
    optical = torch.nn.functional.softplus(raw_sigma) * distances
    before = optical.cumsum(-1) - optical
    return torch.exp(-before) * -torch.expm1(-optical)
