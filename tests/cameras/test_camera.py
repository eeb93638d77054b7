"""The camera batch: shapes, indexing, rays and sizes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placid_kedro.cameras import Cameras, PosedViews, focal_from_fov, orbit
from placid_kedro.errors import ShapeError


@pytest.fixture
def cameras() -> Cameras:
    return orbit([0.0, 100.0, 230.0], [10.0, -20.0, 60.0], [1.2, 1.5, 2.0], 30.0, 24)


def projected(cameras: Cameras, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels [C, P, 2] and planar depths [C, P] of points [C, P, 3], by the pinhole's definition."""
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    local = torch.einsum("cij,cpj->cpi", cameras.world_to_camera, homogeneous)[..., :3]
    image = torch.einsum("cij,cpj->cpi", cameras.K, local)
    return image[..., :2] / image[..., 2:], local[..., 2]


def test_positions_are_where_the_world_maps_to_zero(cameras: Cameras) -> None:
    positions = torch.cat([cameras.positions, torch.ones(3, 1)], dim=1)
    local = torch.einsum("cij,cj->ci", cameras.world_to_camera, positions)
    torch.testing.assert_close(local[:, :3], torch.zeros(3, 3), atol=1e-6, rtol=0)


def test_rays_pass_through_their_pixels_at_planar_depths(cameras: Cameras) -> None:
    cameras = Cameras(cameras.world_to_camera, cameras.K, 24, 10)
    origins, directions = cameras.rays()
    assert origins.shape == directions.shape == (3, 10, 24, 3)
    pixels, depths = projected(cameras, (origins + 0.7 * directions).reshape(3, -1, 3))
    rows, columns = torch.meshgrid(torch.arange(10) + 0.5, torch.arange(24) + 0.5, indexing="ij")
    expected = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2).expand(3, -1, -1)
    torch.testing.assert_close(pixels, expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(depths, torch.full_like(depths, 0.7))


def test_resizing_scales_the_pixels(cameras: Cameras) -> None:
    points = 0.4 * torch.rand(3, 20, 3, generator=torch.Generator().manual_seed(0)) - 0.2
    pixels, _ = projected(cameras, points)
    smaller = cameras.resized(12, 6)
    assert (smaller.width, smaller.height) == (12, 6)
    torch.testing.assert_close(projected(smaller, points)[0], pixels * torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(cameras.resized(12, 6).resized(24, 24).K, cameras.K)


def test_indexing_keeps_a_batch(cameras: Cameras) -> None:
    assert len(cameras) == 3
    for index in (0, 2, -1, -3):
        one = cameras[index]
        assert len(one) == 1
        assert torch.equal(one.world_to_camera[0], cameras.world_to_camera[index])
    assert torch.equal(cameras[1:].K, cameras.K[1:])
    assert torch.equal(cameras[[2, 0]].positions, cameras.positions[[2, 0]])
    for index in (3, -4):
        with pytest.raises(IndexError):
            cameras[index]
    assert len(list(cameras)) == 3


def test_cameras_and_views_follow_others_of_their_size(cameras: Cameras) -> None:
    joined = cameras.followed_by(cameras[[1, 0]])
    assert torch.equal(joined.world_to_camera, cameras.world_to_camera[[0, 1, 2, 1, 0]])
    assert torch.equal(joined.K, cameras.K[[0, 1, 2, 1, 0]])
    images = torch.rand(3, 3, cameras.height, cameras.width)
    views = PosedViews(images, cameras)
    both = views.followed_by(PosedViews(1 - images[:1], cameras[0]))
    assert torch.equal(both.images, torch.cat([images, 1 - images[:1]])) and len(both.cameras) == 4
    with pytest.raises(ShapeError, match="cannot follow"):
        cameras.followed_by(cameras.resized(cameras.width + 1, cameras.height))


@pytest.mark.parametrize(
    ("world_to_camera", "K", "size"),
    [
        (torch.zeros(2, 4, 4), torch.zeros(3, 3, 3), 8),
        (torch.zeros(4, 4), torch.zeros(3, 3), 8),
        (torch.zeros(2, 3, 4), torch.zeros(2, 3, 3), 8),
        (torch.zeros(()), torch.zeros(()), 8),
        (torch.zeros(2, 4, 4), torch.zeros(2, 3, 3), 0),
    ],
)
def test_tensors_that_are_no_cameras(world_to_camera: torch.Tensor, K: torch.Tensor, size: int) -> None:
    with pytest.raises(ShapeError):
        Cameras(world_to_camera, K, size, size)


@settings(deadline=None, max_examples=25)
@given(st.floats(1.0, 170.0), st.integers(1, 2048))
def test_field_of_view_ends_at_the_image_border(fov_deg: float, size: int) -> None:
    focal = focal_from_fov(fov_deg, size)
    assert math.degrees(2 * math.atan2(size / 2, focal)) == pytest.approx(fov_deg)


def test_the_papers_focal_length_is_its_field_of_view() -> None:
    # Sec. 4.2: 280 px at 256 px, and the 49.1 degrees of SyncDreamer.
    assert focal_from_fov(49.13, 256) == pytest.approx(280, abs=0.1)
