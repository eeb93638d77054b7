"""The samples along the rays of all views, and a coarse grid that tells which of them lie in empty space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import CUBE_HALF_EXTENT, MissedRays, sample_rays
from placid_kedro.latent_plane.geometry import SampledPoints, UnsampledPoints, bilinear_taps


@dataclass(frozen=True)
class Lattice:
    """A coarse grid of points in the cube, and how values at them are interpolated at other points.

    Attributes:
        points: G^3 points, x fastest, the cube's faces included.
        corners: [P, 8] of them, around each other point.
        shares: [P, 8] their shares in it, summing to one.
    """

    points: SampledPoints
    corners: Tensor
    shares: Tensor

    def to(self, device: torch.device) -> Lattice:
        """The same on another device."""
        return Lattice(self.points.to(device), self.corners.to(device), self.shares.to(device))

    def interpolate(self, values: Tensor) -> Tensor:
        """[P] at the other points, from values [G^3] at the grid's; exact where they are linear in each axis."""
        return (values[self.corners] * self.shares).sum(dim=-1)


def lattice_positions(size: int) -> Tensor:
    """[G^3, 3] float64 points of a grid with G = `size` points an axis, x fastest."""
    axis = torch.linspace(-CUBE_HALF_EXTENT, CUBE_HALF_EXTENT, size, dtype=torch.float64)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], dim=-1).reshape(-1, 3)


def trilinear_taps(positions: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Corners [P, 8] and shares [P, 8] of positions [P, 3] in a grid of `size` points an axis; outside, its faces
    repeat."""
    place = ((positions + CUBE_HALF_EXTENT) * (size - 1)).clamp(0, size - 1)
    low = place.floor().clamp(max=size - 2)
    upper = place - low
    strides = torch.tensor([1, size, size * size], device=positions.device)
    bits = torch.tensor([[corner >> axis & 1 for axis in range(3)] for corner in range(8)])
    bits = bits.to(positions.device)
    corners = ((low.long()[:, None] + bits) * strides).sum(dim=-1)
    shares = torch.where(bits.bool(), upper[:, None], 1 - upper[:, None]).prod(dim=-1)
    return corners, shares.float()


@dataclass(frozen=True)
class ViewRays:
    """The rays through all pixels of all N feature maps of one size (kept between calls).

    Attributes:
        points: the samples of the rays that are used, U * S of them, in the feature maps.
        density_points: the same samples in the maps that the density reads.
        distances: [U, S].
        depths: [U, S].
        rays: [U] flat indices of the used rays among N * H * W.
        views: [U] the view of each.
        lattice: for the samples, where there is a coarse grid.
    """

    points: SampledPoints
    density_points: SampledPoints
    distances: Tensor
    depths: Tensor
    rays: Tensor
    views: Tensor
    lattice: Lattice | None

    def to(self, device: torch.device) -> ViewRays:
        """The same on another device."""
        return ViewRays(
            points=self.points.to(device),
            density_points=self.density_points.to(device),
            distances=self.distances.to(device),
            depths=self.depths.to(device),
            rays=self.rays.to(device),
            views=self.views.to(device),
            lattice=None if self.lattice is None else self.lattice.to(device),
        )


def make_view_rays(
    cameras: Cameras,
    samples_per_ray: int,
    missed_rays: MissedRays,
    num_octaves: int,
    lattice_size: int,
    density_refinement: int = 1,
) -> ViewRays:
    """The rays through all pixels of N views.

    Args:
        cameras: at the size of the feature maps.
        samples_per_ray, missed_rays: see `sample_rays`.
        num_octaves: of the samples' coordinate embedding.
        lattice_size: points an axis of the coarse grid; 0 for none.
        density_refinement: how many times as fine the maps are that the density reads.
    """
    width, height = cameras.width, cameras.height
    double = cameras.double()
    origins, directions = (part.reshape(-1, 3) for part in double.rays())
    samples = sample_rays(origins, directions, samples_per_ray, missed_rays)
    used = samples.used.nonzero()[:, 0]
    positions = samples.points[used].reshape(-1, 3)
    fine = double.resized(density_refinement * width, density_refinement * height)
    lattice = None
    if lattice_size:
        grid = UnsampledPoints(lattice_positions(lattice_size), fine, num_octaves)[:]
        lattice = Lattice(grid, *trilinear_taps(positions, lattice_size))
    points = UnsampledPoints(positions, double, num_octaves)[:]
    return ViewRays(
        points=points,
        density_points=SampledPoints(bilinear_taps(positions, fine), points.embedding),
        distances=samples.distances[used].float(),
        depths=samples.depths[used].float(),
        rays=used,
        views=used // (width * height),
        lattice=lattice,
    )
