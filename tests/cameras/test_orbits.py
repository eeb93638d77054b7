"""Cameras round the origin, against the conventions of the house written out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placid_kedro.cameras import focal_from_fov, multiview_cameras, orbit, random_orbit, ring, sphere
from placid_kedro.errors import ParameterError

angles = st.floats(-720, 720)
elevations = st.floats(-85, 85)
distances = st.floats(0.5, 5)


def look(azimuth_deg: float, elevation_deg: float, distance: float, point: list[float]) -> np.ndarray:
    """Where a point of the world lies in the camera: right, down, forward; in float64."""
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    outward = np.array(
        [
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        ]
    )
    forward = -outward
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    offset = np.asarray(point) - distance * outward
    return np.array([right @ offset, -up @ offset, forward @ offset])


@settings(deadline=None, max_examples=40)
@given(angles, elevations, distances, st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3))
def test_points_lie_where_a_look_at_puts_them(
    azimuth: float, elevation: float, distance: float, point: list[float]
) -> None:
    cameras = orbit(azimuth, elevation, distance, 1.0, 2)
    local = cameras.world_to_camera[0] @ torch.tensor([*point, 1.0])
    np.testing.assert_allclose(local[:3], look(azimuth, elevation, distance, point), atol=2e-5)


@settings(deadline=None, max_examples=20)
@given(angles, elevations, distances)
def test_cameras_are_rigid_and_right_handed(azimuth: float, elevation: float, distance: float) -> None:
    matrix = orbit(azimuth, elevation, distance, 1.0, 2).world_to_camera[0].double()
    torch.testing.assert_close(matrix[:3, :3] @ matrix[:3, :3].T, torch.eye(3).double(), atol=1e-6, rtol=0)
    assert torch.linalg.det(matrix[:3, :3]) == pytest.approx(1.0, abs=1e-6)
    assert matrix[3].tolist() == [0, 0, 0, 1]


def test_the_front_camera_in_words() -> None:
    camera = orbit(0.0, 0.0, 2.0, 10.0, 20)
    torch.testing.assert_close(camera.positions, torch.tensor([[2.0, 0.0, 0.0]]))
    # The object's left (+y) is on the right of its picture, and its top at the top.
    left, top = (camera.world_to_camera[0] @ torch.tensor([*p, 1.0]) for p in ([0, 1.0, 0], [0, 0, 1.0]))
    torch.testing.assert_close(left[:3], torch.tensor([1.0, 0.0, 2.0]))
    torch.testing.assert_close(top[:3], torch.tensor([0.0, -1.0, 2.0]))
    torch.testing.assert_close(camera.K[0], torch.tensor([[10.0, 0, 10], [0, 10, 10], [0, 0, 1]]))


def test_azimuth_turns_counter_clockwise_seen_from_above() -> None:
    quarter = orbit(90.0, 0.0, 1.0, 1.0, 2).positions
    torch.testing.assert_close(quarter, torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-6, rtol=0)


def test_numbers_and_lists_are_broadcast() -> None:
    cameras = orbit([0.0, 120.0, 240.0], 30.0, torch.tensor([1.0, 2.0, 3.0]), 5.0, 8)
    assert len(cameras) == 3
    torch.testing.assert_close(cameras.positions.norm(dim=1), torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(cameras.positions[:, 2], torch.tensor([0.5, 1.0, 1.5]))


@pytest.mark.parametrize("elevation", [90.0, -90.0, 120.0])
def test_a_camera_at_a_pole_has_no_up(elevation: float) -> None:
    with pytest.raises(ParameterError, match="between -90 and 90"):
        orbit(0.0, [0.0, elevation], 1.0, 1.0, 2)


def test_a_ring_starts_at_the_front() -> None:
    cameras = ring(6, 20.0, 1.5, 49.13, 64)
    expected = orbit([0, 60, 120, 180, 240, 300], 20.0, 1.5, focal_from_fov(49.13, 64), 64)
    assert torch.equal(cameras.world_to_camera, expected.world_to_camera)
    assert torch.equal(cameras.K, expected.K)


def test_a_ring_may_start_elsewhere() -> None:
    cameras = ring(4, 5.0, 1.5, 49.13, 64, first_azimuth_deg=22.5)
    expected = orbit([22.5, 112.5, 202.5, 292.5], 5.0, 1.5, focal_from_fov(49.13, 64), 64)
    assert torch.equal(cameras.world_to_camera, expected.world_to_camera)


def test_the_papers_views_are_a_ring_of_eight() -> None:
    paper, own = multiview_cameras(128), ring(8, 30.0, 1.5, 49.13, 128)
    torch.testing.assert_close(own.world_to_camera, paper.world_to_camera)
    torch.testing.assert_close(own.K, paper.K, rtol=5e-4, atol=0)
    assert float(paper.K[0, 0, 0]) == 140.0


def test_random_cameras_fill_their_ranges() -> None:
    def draw(seed: int) -> tuple[torch.Tensor, ...]:
        cameras, azimuth_deg = random_orbit(
            2000,
            torch.Generator().manual_seed(seed),
            elevation_range_deg=(-10.0, 40.0),
            distance_range=(1.4, 1.6),
            fov_range_deg=(40.0, 60.0),
            size=32,
        )
        x, y, z = cameras.positions.T
        distance = cameras.positions.norm(dim=1)
        fov_deg = torch.rad2deg(2 * torch.atan(16 / cameras.K[:, 0, 0]))
        assert torch.equal(cameras.K[:, 0, 0], cameras.K[:, 1, 1])
        torch.testing.assert_close(
            torch.rad2deg(torch.atan2(y, x)) % 360, azimuth_deg % 360, atol=1e-3, rtol=0
        )
        return azimuth_deg, torch.rad2deg(torch.asin(z / distance)), distance, fov_deg

    for values, (low, high) in zip(draw(0), [(0, 360), (-10, 40), (1.4, 1.6), (40, 60)], strict=True):
        width = high - low
        assert values.min() >= low - 1e-4 * width and values.max() <= high + 1e-4 * width
        # Mean and deviation of a uniform distribution, within four standard errors.
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=4 * width / math.sqrt(12 * 2000))
        assert float(values.std()) == pytest.approx(width / math.sqrt(12), rel=0.05)
    assert all(torch.equal(a, b) for a, b in zip(draw(3), draw(3), strict=True))
    assert not torch.equal(draw(3)[0], draw(4)[0])


def test_a_sphere_of_cameras_looks_from_everywhere():
    cameras = sphere(64, 2.0, 50.0, 96)
    positions = cameras.positions.double()
    assert torch.allclose(positions.norm(dim=1), torch.tensor(2.0, dtype=torch.float64), atol=1e-5)
    directions = torch.randn(500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    nearest = (positions / 2 @ (directions / directions.norm(dim=1, keepdim=True)).T).amax(dim=0)
    # A cap of 22 degrees is 1 / 27 of a sphere: 64 caps have to lie evenly to leave nothing out.
    assert float(torch.rad2deg(nearest.clamp(max=1).acos()).max()) < 22
    gaps = (positions / 2 @ (positions / 2).T).fill_diagonal_(-1).amax(dim=1).clamp(max=1).acos()
    assert float(torch.rad2deg(gaps).min()) > 18
