"""A mesh of Gaussians against solids whose volume and colours are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from placid_kedro.errors import DataError
from placid_kedro.export.config import MeshParameters
from placid_kedro.export.meshing import _without_splinters, mesh_of, optical_depth_grid
from placid_kedro.export.texturing import write_textured_glb
from placid_kedro.splats import Gaussians

RADIUS = 0.3
COARSE = MeshParameters(
    resolution=48, level=0.1, outline=0.0, smallest_part=0.01, faces=3000, texture_size=256, baking_size=128
)

VOXEL = 1 / 47


def shell(count: int = 1500, opacity: float = 0.9) -> Gaussians:
    """Discs on a sphere, hollow inside; red towards +x, green towards +y, blue towards +z."""
    index = torch.arange(count) + 0.5
    z, turn = 1 - 2 * index / count, math.pi * (1 + 5**0.5) * index
    flat = (1 - z**2).sqrt()
    normals = torch.stack([flat * turn.cos(), flat * turn.sin(), z], dim=1)
    return Gaussians.from_points(RADIUS * normals, normals / 2 + 0.5, normals=normals, opacity=opacity)


def test_the_depth_at_a_centre_and_one_deviation_away() -> None:
    """One Gaussian in a grid whose points fall on its centre and one standard deviation from it."""
    edge = 1 / 20
    deviations = torch.tensor([[edge, 2 * edge, edge]])
    # Turned by 90 degrees about z: its own y axis lies along -x.
    turned = torch.tensor([[math.cos(math.pi / 4), 0.0, 0.0, math.sin(math.pi / 4)]])
    one = Gaussians(
        torch.zeros(1, 3),
        turned,
        deviations.log(),
        torch.zeros(1),
        torch.zeros(1, 1, 3),
        torch.zeros(1, 0, 3),
    )
    grid = optical_depth_grid(one, 21)
    assert float(grid[10, 10, 10]) == pytest.approx(-math.log(0.5), rel=1e-5)
    at_one = -math.log(1 - 0.5 * math.exp(-0.5))
    for place in [(12, 10, 10), (8, 10, 10), (10, 11, 10), (10, 10, 9)]:
        assert float(grid[place]) == pytest.approx(at_one, rel=1e-4)


def test_a_hollow_shell_becomes_one_closed_ball() -> None:
    surface = mesh_of(shell(), COARSE)
    mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy())
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    assert len(mesh.faces) <= COARSE.faces
    # Not inside the discs' centres, and outside by the voxels that thin discs are widened to at most.
    distances = np.linalg.norm(mesh.vertices, axis=1)
    assert distances.min() > RADIUS - 0.5 * VOXEL and distances.max() < RADIUS + 3 * VOXEL


def test_crumbs_are_left_out() -> None:
    crumb = Gaussians.from_points(
        torch.tensor([[0.45, 0.45, 0.45], [0.451, 0.45, 0.45]]), torch.ones(2, 3), opacity=0.95
    )
    ball = shell()
    both = Gaussians(*(torch.cat([getattr(ball, name), getattr(crumb, name)]) for name in vars(ball)))
    surface = mesh_of(both, COARSE)
    assert float(surface.vertices.norm(dim=1).max()) < RADIUS + 0.05


def rod(opacity: float, start: float, end: float) -> Gaussians:
    """Round Gaussians of one voxel along +x, 1 / 100 apart."""
    x = torch.arange(start, end, 0.01)
    places = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], dim=1)
    thin = Gaussians.from_points(places, torch.ones(len(x), 3), opacity=opacity)
    return replace(thin, log_scales=torch.full((len(x), 3), math.log(VOXEL)))


def test_a_faint_rod_that_stands_out_of_a_body_is_kept() -> None:
    """Its optical depth is below the level, yet above a fifth of it."""
    opacity = 0.15
    both = shell().followed_by(rod(opacity, RADIUS, 0.45))
    higher = COARSE.model_copy(update={"level": 1.0})
    assert 0.2 < float(optical_depth_grid(rod(opacity, RADIUS, 0.45), 48).max()) < 1.0
    surface = mesh_of(both, higher)
    mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy())
    assert mesh.is_watertight and mesh.body_count == 1
    assert float(surface.vertices[:, 0].max()) > 0.45 - 2 * VOXEL
    assert float(surface.vertices[:, 1].max()) < RADIUS + 3 * VOXEL


def test_the_same_rod_inside_a_body_is_not() -> None:
    higher = COARSE.model_copy(update={"level": 1.0})
    alone = mesh_of(shell(), higher)
    with_rod = mesh_of(shell().followed_by(rod(0.15, -0.15, 0.15)), higher)
    assert torch.equal(with_rod.vertices, alone.vertices)


def test_splinters_of_parting_are_left_out() -> None:
    box, splinter = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((0.05, 0.05, 0.05))
    both = trimesh.util.concatenate([splinter.apply_translation((2, 0, 0)), box])
    kept = _without_splinters(both.vertices, np.asarray(both.faces), 0.005)
    assert sorted(map(tuple, kept)) == sorted(map(tuple, np.asarray(box.faces) + len(splinter.vertices)))


def test_fog_is_no_object() -> None:
    with pytest.raises(DataError, match="cover nothing"):
        mesh_of(shell(opacity=0.001), COARSE)


def test_the_file_stands_upright_in_the_right_colours(tmp_path: Path) -> None:
    gaussians = shell()
    write_textured_glb(gaussians, mesh_of(gaussians, COARSE), tmp_path / "ball.glb", COARSE)
    mesh = trimesh.load(tmp_path / "ball.glb", force="mesh")
    colours = mesh.visual.to_color().vertex_colors[:, :3] / 255
    # y up and the front towards +z in the file: its (x, y, z) are the world's (y, z, x).
    directions = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    expected = directions[:, [2, 0, 1]] / 2 + 0.5
    assert np.abs(colours - expected).mean() < 0.05
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight


def test_what_stands_out_of_the_cube_is_not_cut_off() -> None:
    higher = shell(count=8000).scaled(0.56 / RADIUS)
    far = shell(count=2).scaled(5.0 / RADIUS)
    floater = replace(far, log_scales=torch.full((2, 3), -4.0))
    surface = mesh_of(higher.followed_by(floater), COARSE)
    mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy())
    assert mesh.is_watertight and mesh.body_count == 1
    assert mesh.extents == pytest.approx([1.12, 1.12, 1.12], abs=0.12)
    assert np.ptp(np.linalg.norm(mesh.vertices, axis=1)) < 0.05
