"""Objects made by chance: sound meshes of every kind, the same for a seed, and in the house's axes when read back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import trimesh

from placid_kedro.embedded.made import KINDS, kind_of, make_object, write_made
from placid_kedro.embedded.made.curved import ring
from placid_kedro.embedded.made.parts import Builder, random_rotation
from placid_kedro.rendering import load_mesh

RED = (1.0, 0.0, 0.0)


def builder(seed: int = 0) -> Builder:
    return Builder(np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=lambda kind: kind.__name__)
def test_every_kind_makes_sound_meshes_that_differ(kind):
    shapes = set()
    for seed in range(25):
        make = builder(seed)
        kind(make)
        whole = trimesh.util.concatenate(make.parts)
        assert np.isfinite(whole.vertices).all() and len(whole.faces) >= 12
        assert whole.faces.max() < len(whole.vertices)
        assert (whole.extents > 0).sum() >= 2 and whole.extents.max() < 10
        colors = np.concatenate([part.visual.vertex_colors for part in make.parts])
        assert colors.shape == (len(whole.vertices), 4) and (colors[:, 3] == 255).all()
        shapes.add(tuple(np.round(whole.extents, 6)))
    assert len(shapes) == 25


def test_a_seed_is_an_object():
    first, again, other = make_object(7), make_object(7), make_object(8)
    assert len(first) == len(again)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.vertices, b.vertices) and np.array_equal(a.faces, b.faces)
        assert np.array_equal(a.visual.vertex_colors, b.visual.vertex_colors)
    assert not np.array_equal(
        trimesh.util.concatenate(first).extents, trimesh.util.concatenate(other).extents
    )


def test_kinds_come_as_often_as_their_weights_say():
    count = 4000
    found = Counter(kind_of(seed) for seed in range(count))
    total = sum(weight for _, weight in KINDS)
    for kind, weight in KINDS:
        expected = weight / total
        spread = np.sqrt(expected * (1 - expected) / count)
        assert found[kind.__name__] / count == pytest.approx(expected, abs=4.5 * spread)


def test_a_bar_lies_between_its_ends():
    start, end, thickness = np.array([0.3, -0.2, 0.1]), np.array([-0.5, 0.4, 0.9]), 0.06
    make = builder()
    make.bar(start, end, thickness, RED)
    vertices = make.parts[0].vertices
    axis = (end - start) / np.linalg.norm(end - start)
    along = (vertices - start) @ axis
    across = np.linalg.norm(vertices - start - along[:, None] * axis, axis=1)
    assert along.min() == pytest.approx(0, abs=1e-6)
    assert along.max() == pytest.approx(np.linalg.norm(end - start), abs=1e-6)
    assert across.max() == pytest.approx(thickness / 2, rel=1e-6)
    make.bar(start, start, thickness, RED)  # nothing to add
    assert len(make.parts) == 1


def test_bodies_have_their_volumes():
    make = builder()
    make.box((1, 2, 3), (0.2, 0.4, 0.6), RED)
    make.turned([(0, 0), (0.5, 0), (0.5, 2), (0, 2)], (0, 0, 1), RED)
    make.disc((0, 0, 5), 0.5, 2.0, RED)
    make.cushion((0, 0, 0), (1.0, 2.0, 0.5), RED)
    box, turned, disc, cushion = make.parts
    prism = 20 / 2 * 0.5**2 * np.sin(2 * np.pi / 20) * 2  # a cylinder of twenty sides
    assert box.volume == pytest.approx(0.2 * 0.4 * 0.6) and np.allclose(box.centroid, (1, 2, 3))
    assert abs(turned.volume) == pytest.approx(prism) and np.allclose(turned.bounds[:, 2], (1, 3))
    assert abs(disc.volume) == pytest.approx(prism) and np.allclose(disc.bounds[:, 2], (4, 6))
    assert np.allclose(cushion.extents, (1.0, 2.0, 0.5))
    # Between an ellipsoid and a box.
    assert np.pi / 6 < cushion.volume < 1


def test_a_turned_body_stands_along_its_axis():
    make = builder()
    make.turned([(0, 0), (0.3, 0), (0, 1.2)], (1, 2, 3), RED, axis=(0, -2, 0))  # a cone that points to -y
    assert np.allclose(make.parts[0].bounds, [[0.7, 0.8, 2.7], [1.3, 2, 3.3]], atol=1e-6)


def test_a_loft_over_equal_rings_is_a_closed_prism():
    square = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]], float)
    make = builder()
    up = np.array([0.0, 0, 1])
    make.loft(np.stack([square, square + up, square + 3 * up]), RED)
    part = make.parts[0]
    assert part.is_watertight and part.is_winding_consistent and abs(part.volume) == pytest.approx(6)


def test_a_tube_passes_through_its_corners():
    line = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 1]], float)
    make = builder()
    make.tube(line, 0.2, RED)
    assert len(make.parts) == 3  # two bars and the ball at the bend
    assert np.allclose(
        trimesh.util.concatenate(make.parts).bounds, [[-0.1, -0.1, 0], [0.1, 1, 1.1]], atol=1e-3
    )


@pytest.mark.parametrize("squareness, area", [(1.0, np.pi), (1e-6, 4.0)])
def test_a_ring_lies_between_an_ellipse_and_a_rectangle(squareness, area):
    x, y = ring(1.5, 0.5, squareness).T
    found = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert found == pytest.approx(area * 1.5 * 0.5, rel=0.02)  # a polygon of twenty corners
    assert np.abs(x).max() == pytest.approx(1.5) and np.abs(y).max() == pytest.approx(0.5)


def test_posts_stand_on_the_corners_and_turn_with_all_else():
    make = builder()
    make.posts(2.0, 1.0, 0.7, 0.1, RED)
    feet = sorted(tuple(np.round(part.bounds.mean(axis=0), 6)) for part in make.parts)
    assert feet == [(-1, -0.5, 0.35), (-1, 0.5, 0.35), (1, -0.5, 0.35), (1, 0.5, 0.35)]
    assert all(np.allclose(part.extents, (0.1, 0.1, 0.7)) for part in make.parts)
    make.turn(90)  # x becomes y
    assert np.allclose(trimesh.util.concatenate(make.parts).bounds, [[-0.55, -1.05, 0], [0.55, 1.05, 0.7]])
    make.turn(-90, (0, 1, 0))  # what was above lies in front of -x
    assert np.allclose(trimesh.util.concatenate(make.parts).bounds, [[-0.7, -1.05, -0.55], [0, 1.05, 0.55]])


def test_a_blob_is_turned_about_its_centre():
    make = builder()
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    make.blob((1, 1, 1), (0.5, 0.2, 0.1), RED, quarter)
    assert np.allclose(make.parts[0].bounds.mean(axis=0), 1, atol=1e-3)
    assert np.allclose(make.parts[0].extents, (0.4, 1.0, 0.2), rtol=0.03)


def test_random_rotations_are_rotations():
    generator = np.random.default_rng(3)
    rotations = np.stack([random_rotation(generator) for _ in range(400)])
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(rotations), 1)
    # All directions alike: the mean of many is small.
    assert np.abs(rotations.mean(axis=0)).max() < 4.5 / np.sqrt(3 * 400)


def test_files_hold_the_objects_in_the_houses_axes(tmp_path: Path):
    table = write_made(4, tmp_path)
    assert table["uid"].tolist() == [f"made-{seed:05d}" for seed in range(4)]
    assert (table["reason"] == "").all() and table["name"].tolist() == [kind_of(seed) for seed in range(4)]
    for seed, path in enumerate(table["path"]):
        whole = trimesh.util.concatenate(make_object(seed))
        low, high = whole.bounds
        expected = (whole.vertices - (low + high) / 2) / (high - low).max()
        mesh = load_mesh(path)
        assert mesh.is_colored and len(mesh.vertices) == len(expected)
        assert np.allclose(mesh.vertices, expected, atol=1e-5)
    assert write_made(4, tmp_path)["sha256"].tolist() == table["sha256"].tolist()
