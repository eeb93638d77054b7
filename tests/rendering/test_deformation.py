"""Other proportions for a mesh."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from placid_kedro.rendering import Coat, Mesh, ProportionRange, Proportions, deformed


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    faces = np.asarray(shape.faces, np.int32)
    return Mesh(
        vertices=np.asarray(shape.vertices, np.float32),
        faces=faces,
        base=Coat(
            np.ones((len(faces), 3, 4), np.float32),
            np.zeros((len(faces), 3, 2), np.float32),
            np.full(len(faces), -1, np.int32),
        ),
        emission=None,
        alpha_cutoffs=np.zeros(len(faces), np.float32),
        textures=(),
    )


def extents(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ptp(vertices, axis=0)


CUBE = mesh_of(trimesh.creation.box((1, 1, 1)))


def test_stretching_changes_the_ratios_of_a_box_and_fills_the_cube_again() -> None:
    result = deformed(CUBE, Proportions((0.5, 1.0, 2.0), 0.0, 0.0))
    np.testing.assert_allclose(extents(result.vertices), [0.25, 0.5, 1.0], atol=1e-6)
    np.testing.assert_allclose(result.vertices.max(0), -result.vertices.min(0), atol=1e-6)
    assert result.faces is CUBE.faces and result.base is CUBE.base


def test_tapering_widens_the_top_and_keeps_the_middle() -> None:
    result = deformed(CUBE, Proportions((1.0, 1.0, 1.0), 0.4, 0.0))
    top, bottom = (result.vertices[sign * result.vertices[:, 2] > 0.1] for sign in (1, -1))
    ratio = extents(top)[:2] / extents(bottom)[:2]
    np.testing.assert_allclose(ratio, 1.2 / 0.8, rtol=1e-5)


def test_turning_is_counter_clockwise_about_the_vertical() -> None:
    along_x = mesh_of(trimesh.creation.box((1, 0.2, 0.4)).apply_translation((0.5, 0, 0)))
    result = deformed(along_x, Proportions((1.0, 1.0, 1.0), 0.0, 90.0))
    np.testing.assert_allclose(extents(result.vertices), [0.2, 1.0, 0.4], atol=1e-6)
    # What stood farthest along +x stands farthest along +y.
    assert result.vertices[along_x.vertices[:, 0].argmax(), 1] == pytest.approx(0.5, abs=1e-6)


def test_a_name_has_its_own_proportions_within_the_range() -> None:
    wide = ProportionRange(stretch=0.4, taper=0.3, turn_deg=20.0)
    drawn = [wide.draw(f"0:{index}") for index in range(200)]
    assert wide.draw("0:7") == drawn[7] != wide.draw("1:7")
    logarithms = np.log([one.stretch for one in drawn])
    for values, bound in (
        (logarithms, 0.4),
        (np.array([one.taper for one in drawn]), 0.3),
        (np.array([one.turn_deg for one in drawn]), 20.0),
    ):
        assert np.abs(values).max() <= bound
        # Uniform: the standard deviation is bound / sqrt(3).
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.15)
        assert abs(values.mean()) < 0.2 * bound
    nothing = ProportionRange(stretch=0.0, taper=0.0, turn_deg=0.0).draw("x")
    np.testing.assert_allclose(deformed(CUBE, nothing).vertices, CUBE.vertices, atol=1e-7)


def test_a_flat_mesh_stays_finite() -> None:
    flat = mesh_of(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False))
    result = deformed(flat, Proportions((1.1, 0.9, 1.2), 0.3, 10.0))
    assert np.isfinite(result.vertices).all() and extents(result.vertices).max() == pytest.approx(1.0)
