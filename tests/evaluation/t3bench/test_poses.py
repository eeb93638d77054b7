"""Icospheres against the golden ratio, cameras against a look-at by hand."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placid_kedro.cameras.rays import project
from placid_kedro.errors import ParameterError, ShapeError
from placid_kedro.evaluation.t3bench.poses import cameras_towards, icosphere

GOLDEN = (1 + 5**0.5) / 2


def divided_icosahedron(subdivisions: int) -> tuple[np.ndarray, set[frozenset[int]]]:
    """Vertices and edges from the twelve points (0, ±1, ±φ) and their faces, without a library."""
    points = [
        np.array(p)
        for s, t in itertools.product((1, -1), repeat=2)
        for p in ((0, s, t * GOLDEN), (s, t * GOLDEN, 0), (t * GOLDEN, 0, s))
    ]
    points = [p / np.linalg.norm(p) for p in points]
    edge = min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2))

    def near(a: int, b: int) -> bool:
        return np.linalg.norm(points[a] - points[b]) < 1.01 * edge

    faces = [
        f
        for f in itertools.combinations(range(12), 3)
        if all(near(a, b) for a, b in itertools.combinations(f, 2))
    ]
    for _ in range(subdivisions):
        middle: dict[frozenset[int], int] = {}
        new = []
        for a, b, c in faces:
            corners = []
            for pair in (frozenset((a, b)), frozenset((b, c)), frozenset((c, a))):
                if pair not in middle:
                    sum_ = np.sum([points[i] for i in pair], axis=0)
                    middle[pair] = len(points)
                    points.append(sum_ / np.linalg.norm(sum_))
                corners.append(middle[pair])
            ab, bc, ca = corners
            new += [(a, ab, ca), (b, ab, bc), (c, bc, ca), (ab, bc, ca)]
        faces = new
    edges = {frozenset(pair) for f in faces for pair in itertools.combinations(f, 2)}
    return np.array(points), edges


@pytest.mark.parametrize(("subdivisions", "count"), [(0, 12), (1, 42), (2, 162)])
def test_the_icosphere_is_the_divided_icosahedron(subdivisions: int, count: int) -> None:
    sphere = icosphere(subdivisions)
    assert len(sphere) == count
    points, edges = divided_icosahedron(subdivisions)
    distances = np.linalg.norm(sphere.directions[:, None] - points[None], axis=-1)
    match = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-9 and len(set(match)) == count
    found = {
        frozenset((int(match[a]), int(match[b]))) for a, near in enumerate(sphere.neighbours) for b in near
    }
    assert found == edges


def test_twelve_poses_have_five_neighbours_and_the_others_six() -> None:
    counts = [len(near) for near in icosphere(2).neighbours]
    assert (counts.count(5), counts.count(6)) == (12, 150)


def test_two_of_the_poses_look_along_the_vertical() -> None:
    assert int((np.abs(icosphere(2).directions[:, 2]) >= 0.99).sum()) == 2


@pytest.mark.parametrize("subdivisions", [-1, 6])
def test_subdivisions_out_of_range(subdivisions: int) -> None:
    with pytest.raises(ParameterError, match="0 to 5 subdivisions"):
        icosphere(subdivisions)


CENTER = torch.tensor([0.3, -0.2, 0.1])


def test_cameras_look_at_the_centre_with_up_upwards() -> None:
    directions = icosphere(2).directions
    cameras = cameras_towards(CENTER, directions, 2.0, 60.0, 100)
    np.testing.assert_allclose(cameras.positions.double().numpy(), CENTER.numpy() + 2 * directions, atol=1e-5)
    for pose, direction in enumerate(directions):
        up = torch.tensor([0, 1.0, 0] if abs(direction[2]) >= 0.99 else [0, 0, 1.0])
        pixels = project(torch.stack([CENTER, CENTER + 0.1 * up]), cameras[pose])[:, 0]
        torch.testing.assert_close(pixels[0], torch.tensor([50.0, 50.0]), atol=1e-3, rtol=0)
        assert abs(float(pixels[1, 0]) - 50) < 1e-3 and float(pixels[1, 1]) < 50
    torch.testing.assert_close(torch.linalg.det(cameras.world_to_camera[:, :3, :3]), torch.ones(162))


def test_fields_of_view_follow_each_other_pose_by_pose() -> None:
    cameras = cameras_towards(CENTER, icosphere(0).directions, 2.2, (60.0, 24.0), 512)
    assert len(cameras) == 24
    # Half an image's width at distance 1 is tan of half the angle.
    expected = [256 / np.tan(np.pi / 6), 256 / np.tan(np.pi / 15)] * 12
    np.testing.assert_allclose(cameras.K[:, 0, 0].numpy(), expected, rtol=1e-6)
    torch.testing.assert_close(cameras.world_to_camera[0::2], cameras.world_to_camera[1::2])


@given(st.floats(max_value=0) | st.just(float("nan")) | st.just(float("inf")))
@settings(max_examples=10, deadline=None)
def test_no_camera_without_a_distance(distance: float) -> None:
    with pytest.raises(ParameterError, match="positive, finite distance"):
        cameras_towards(CENTER, icosphere(0).directions, distance, 60.0, 8)


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="centre must be"):
        cameras_towards(torch.zeros(2), icosphere(0).directions, 1.0, 60.0, 8)
