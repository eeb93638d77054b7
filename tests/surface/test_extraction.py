"""Surfaces and points from densities that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.surface.extraction import (
    Surface,
    density_grid,
    iso_surface,
    level_for_occupancy,
    sample_surface,
)


def inverse_softplus(density):
    return torch.log(torch.expm1(density))


def boxes(points):
    """A long box along +x, a shorter one along +y, the shortest along +z, from one corner: no symmetry."""
    inside = torch.zeros(len(points), dtype=torch.bool)
    for reach in ((0.42, -0.2, -0.2), (-0.2, 0.25, -0.2), (-0.2, -0.2, 0.05)):
        upper = torch.tensor(reach)
        inside |= ((points > -0.3) & (points < upper)).all(-1)
    return torch.where(inside, 40.0, -10.0)


def test_grid_is_the_field_in_x_y_z_order_whatever_the_block():
    def field(points):
        return inverse_softplus(5 + points[:, 0] + 2 * points[:, 1] + 4 * points[:, 2])

    grid = density_grid(field, 6, block_size=37)
    axis = torch.linspace(-0.5, 0.5, 6)
    expected = 5 + axis[:, None, None] + 2 * axis[:, None] + 4 * axis
    torch.testing.assert_close(grid, expected, rtol=1e-5, atol=1e-5)


def test_sphere_has_its_radius_area_and_outward_normals():
    radius = 0.31
    grid = density_grid(lambda p: inverse_softplus(15 * (radius / p.norm(dim=-1).clamp(min=0.1))), 48)
    surface = iso_surface(grid)
    torch.testing.assert_close(
        surface.vertices.norm(dim=-1), torch.full((len(surface.vertices),), radius), rtol=0, atol=2e-3
    )
    mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy())
    assert mesh.is_watertight and mesh.is_winding_consistent
    # A negative volume would mean inward faces.
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.02)
    sampled = sample_surface(surface, 4000, torch.Generator().manual_seed(0))
    outward = torch.nn.functional.normalize(sampled.points, dim=-1)
    assert ((sampled.normals * outward).sum(-1) > 0.98).all()
    # Even over the area: each octant has an eighth within four standard deviations.
    octant = ((sampled.points > 0) * torch.tensor([1, 2, 4])).sum(-1)
    counts = torch.bincount(octant, minlength=8)
    assert (counts - 500).abs().max() < 4 * math.sqrt(4000 * 1 / 8 * 7 / 8)


def test_asymmetric_object_is_neither_mirrored_nor_stretched():
    resolution = 51
    surface = iso_surface(density_grid(boxes, resolution))
    cell = 1 / (resolution - 1)
    lowest, highest = surface.vertices.amin(0), surface.vertices.amax(0)
    torch.testing.assert_close(lowest, torch.full((3,), -0.3), rtol=0, atol=cell)
    torch.testing.assert_close(highest, torch.tensor([0.42, 0.25, 0.05]), rtol=0, atol=cell)
    mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy())
    probes = np.array([[0.35, -0.25, -0.25], [-0.25, 0.2, -0.25], [-0.25, -0.25, 0.0], [0.35, 0.2, 0.0]])
    assert mesh.contains(probes).tolist() == [True, True, True, False]
    sampled = sample_surface(surface, 3000, torch.Generator().manual_seed(1))
    # The tip of the longest arm looks along +x, not -x.
    tip = sampled.points[:, 0] > 0.41
    assert tip.any() and (sampled.normals[tip, 0] > 0.5).all()


def test_what_reaches_the_cubes_faces_is_closed():
    surface = iso_surface(density_grid(lambda p: torch.full((len(p),), 30.0), 8))
    mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy())
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(1.0, abs=1e-3)


def test_points_lie_on_their_triangles_in_proportion_to_area():
    vertices = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 5], [1, 0, 5], [0, 2, 5]])
    surface = Surface(vertices, torch.tensor([[0, 1, 2], [3, 4, 5]]))
    sampled = sample_surface(surface, 8000, torch.Generator().manual_seed(3))
    upper = sampled.points[:, 2] > 2
    assert upper.float().mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 8000))
    lower = sampled.points[~upper]
    assert (lower[:, 0] / 3 + lower[:, 1] / 2 <= 1 + 1e-6).all() and (lower >= 0).all()
    torch.testing.assert_close(lower.mean(0), torch.tensor([1.0, 2 / 3, 0.0]), rtol=0, atol=0.05)
    again = sample_surface(surface, 8000, torch.Generator().manual_seed(3))
    assert torch.equal(again.points, sampled.points)


def test_occupancy_level_is_that_of_a_layer():
    level = level_for_occupancy(0.4, 1 / 31)
    assert 1 - math.exp(-level / 31) == pytest.approx(0.4)
    with pytest.raises(ParameterError, match="occupancy in"):
        level_for_occupancy(1.0, 0.1)


def test_fields_without_a_surface_are_refused():
    with pytest.raises(DataError, match=r"No surface at density 15: the field lies between .* and 2\."):
        iso_surface(torch.rand(5, 5, 5, generator=torch.Generator().manual_seed(0)) + 1.99)
    with pytest.raises(DataError, match="NaN"):
        iso_surface(torch.full((4, 4, 4), torch.nan))
    with pytest.raises(ParameterError, match="at least 2"):
        density_grid(lambda p: p[:, 0], 1)
