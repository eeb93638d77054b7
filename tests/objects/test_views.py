"""Views of an object: from where, and the file that holds them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from placid_kedro.errors import DataError
from placid_kedro.files import file_hash
from placid_kedro.objects.config import RenderParameters, RenderProtocol, Ring
from placid_kedro.objects.facts import measure
from placid_kedro.objects.views import count_views, object_cameras, read_views, write_views
from placid_kedro.rendering import Mesh, Render, painted_part, render_mesh
from placid_kedro.rendering.mesh import merge_parts

SYNCDREAMER = RenderProtocol(
    size=256,
    focal_at_256=280.0,
    distance=1.5,
    rings=(Ring(views=16, elevation_deg=(30.0, 30.0)), Ring(views=16, elevation_deg=(-10.0, 40.0))),
)


def angles(positions: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation in degrees, in float64."""
    x, y, z = positions.double().numpy().T
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z / np.sqrt(x * x + y * y + z * z)))


def test_syncdreamers_protocol() -> None:
    cameras = object_cameras(SYNCDREAMER, "a", seed=0)
    azimuth, elevation = angles(cameras.positions)
    ring = np.arange(16) * 22.5
    turn = (azimuth - np.tile(ring, 2) + 180) % 360 - 180
    np.testing.assert_allclose(turn, 0, atol=1e-4)
    np.testing.assert_allclose(elevation[:16], 30, atol=1e-4)
    assert elevation[16:].min() >= -10
    assert elevation[16:].max() <= 40
    assert np.ptp(elevation[16:]) > 20
    np.testing.assert_allclose(cameras.positions.norm(dim=1), 1.5, atol=1e-6)
    assert cameras.K[0].tolist() == [[280, 0, 128], [0, 280, 128], [0, 0, 1]]
    assert SYNCDREAMER.view_count == len(cameras) == 32


def test_a_ring_begins_where_it_is_told_to() -> None:
    third = Ring(views=8, elevation_deg=(5.0, 5.0), first_azimuth_deg=22.5)
    more = SYNCDREAMER.model_copy(update={"rings": (*SYNCDREAMER.rings, third)})
    cameras = object_cameras(more, "a", seed=0)
    azimuth, elevation = angles(cameras.positions[32:])
    np.testing.assert_allclose(azimuth, 22.5 + 45 * np.arange(8), atol=1e-4)
    np.testing.assert_allclose(elevation, 5, atol=1e-4)
    # The rings before it stay as they are.
    assert torch.equal(cameras.world_to_camera[:32], object_cameras(SYNCDREAMER, "a", seed=0).world_to_camera)


def test_each_object_and_seed_has_its_own_elevations() -> None:
    drawn = [
        object_cameras(SYNCDREAMER, uid, seed).world_to_camera
        for uid, seed in (("a", 0), ("a", 0), ("b", 0), ("a", 1))
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[3])
    assert torch.equal(drawn[0][:16], drawn[3][:16])


def test_half_the_size_is_half_the_focal_length() -> None:
    small = object_cameras(SYNCDREAMER.model_copy(update={"size": 128}), "a", 0)
    assert small.K[0].tolist() == [[140, 0, 64], [0, 140, 64], [0, 0, 1]]


@pytest.mark.parametrize("elevation", [(30.0, -10.0), (-95.0, 0.0), (0.0, 90.0)])
def test_elevations_are_checked(elevation: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="lower <= upper"):
        Ring(views=1, elevation_deg=elevation)


@pytest.fixture
def random_render(render_parameters: RenderParameters) -> tuple[Render, torch.Tensor]:
    random = np.random.default_rng(1)
    depth = random.uniform(0.7, 2.3, (6, 32, 32)).astype(np.float32)
    depth[random.random(depth.shape) < 0.3] = 0
    return Render(random.integers(0, 256, (6, 32, 32, 4), np.uint8), depth)


def test_a_file_of_views_comes_back(
    tmp_path: Path, random_render: Render, render_parameters: RenderParameters
) -> None:
    cameras = object_cameras(render_parameters.protocol, "a", 0)
    write_views(tmp_path / "a.zip", cameras, random_render)
    seen = read_views(tmp_path / "a.zip", "a", "a ball", [4, 1])
    assert (seen.uid, seen.caption) == ("a", "a ball")
    assert torch.equal(seen.cameras.world_to_camera, cameras.world_to_camera[[4, 1]])
    assert torch.equal(seen.cameras.K, cameras.K[[4, 1]])
    assert (seen.cameras.width, seen.cameras.height) == (32, 32)
    expected = torch.from_numpy(random_render.rgba[[4, 1]]).permute(0, 3, 1, 2) / 255
    assert torch.equal(seen.rgba, expected)
    assert torch.equal(seen.mask, expected[:, 3])
    depth = torch.from_numpy(random_render.depth[[4, 1]])
    assert (seen.depth - depth).abs().max() < 2e-5
    assert torch.equal(seen.depth == 0, depth == 0)
    assert count_views(tmp_path / "a.zip") == 6
    write_views(tmp_path / "b.zip", cameras, random_render)
    assert file_hash(tmp_path / "a.zip") == file_hash(tmp_path / "b.zip")


def test_a_damaged_file_is_named(
    tmp_path: Path, random_render: Render, render_parameters: RenderParameters
) -> None:
    path = tmp_path / "a.zip"
    with pytest.raises(DataError, match=r"a\.zip"):
        read_views(path, "a", "")
    write_views(path, object_cameras(render_parameters.protocol, "a", 0), random_render)
    with pytest.raises(DataError, match=r"rgba_006\.png"):
        read_views(path, "a", "", [6])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="render it again"):
        read_views(path, "a", "")


def ball(colors: np.ndarray | None) -> Mesh:
    part = trimesh.creation.icosphere(subdivisions=3)
    if colors is not None:
        part.visual.vertex_colors = colors
    return merge_parts([painted_part(part)], "ball")


def test_facts_of_a_ball(render_parameters: RenderParameters) -> None:
    white_above = np.full((642, 4), 255, np.uint8)
    white_above[trimesh.creation.icosphere(subdivisions=3).vertices[:, 1] < 0, :3] = 0
    mesh = ball(white_above)
    cameras = object_cameras(SYNCDREAMER.model_copy(update={"size": 64}), "a", 0)[:4]
    facts = measure(mesh, cameras, render_mesh(mesh, cameras))
    # A sphere of radius r seen from d: its silhouette is a disk of radius f r / sqrt(d^2 - r^2).
    radius = 70 * 0.5 / np.sqrt(1.5**2 - 0.5**2)
    assert facts.coverage == pytest.approx(np.pi * radius**2 / 64**2, rel=0.02)
    assert facts.extent == pytest.approx(0.5, abs=0.01)
    assert facts.faces == 1280
    assert facts.border == 0
    # Half black, half white: every channel deviates by a half.
    assert facts.color_deviation == pytest.approx(np.sqrt(3) / 2, abs=0.03)


def test_light_is_no_colour(render_parameters: RenderParameters) -> None:
    cameras = object_cameras(render_parameters.protocol, "a", 0)
    flat = ball(np.tile(np.array([120, 90, 30, 255], np.uint8), (642, 1)))
    facts = measure(flat, cameras, render_mesh(flat, cameras))
    assert facts.color_deviation < 1e-6
    assert facts.is_colored
    bare = ball(None)
    assert not measure(bare, cameras, render_mesh(bare, cameras)).is_colored


def test_the_extent_is_that_of_visible_points(render_parameters: RenderParameters) -> None:
    """A mesh that is larger than the cube, as a renderer with its own importer might leave it."""
    mesh = ball(None)
    large = Mesh(1.2 * mesh.vertices, *(getattr(mesh, name) for name in list(vars(mesh))[1:]))
    cameras = object_cameras(render_parameters.protocol, "a", 0)
    assert measure(large, cameras, render_mesh(large, cameras)).extent == pytest.approx(0.6, abs=0.02)
