"""Solids of cubes that touch along edges, against the count of faces at an edge and the cubes' volume."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import trimesh

from placid_kedro.export.separation import separated

Cell = tuple[int, int, int]

SOLIDS: dict[str, list[Cell]] = {
    "two": [(0, 0, 0), (1, 1, 0)],
    "ring": [(0, 0, 0), (1, 1, 0), (2, 0, 0), (1, -1, 0)],
    # The sheets that touch below are one sheet above.
    "bridge": [(0, 0, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1)],
    "three at a corner": [(0, 0, 0), (1, 1, 0), (1, 0, 1)],
}


def skin(cells: list[Cell]) -> trimesh.Trimesh:
    """The squares between a filled cell and an empty one, each as two triangles, equal corners merged."""
    squares = []
    for cell, axis, side in product(cells, range(3), (0, 1)):
        beside = list(cell)
        beside[axis] += 2 * side - 1
        if tuple(beside) in cells:
            continue
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        corner = np.array(cell) + side * np.eye(3)[axis]
        square = [corner, corner + u, corner + u + v, corner + v]
        squares.append(square if side else square[::-1])
    faces = np.array([[0, 1, 2], [0, 2, 3]]) + 4 * np.arange(len(squares))[:, None, None]
    return trimesh.Trimesh(np.concatenate(squares), faces.reshape(-1, 3))


@pytest.mark.parametrize("cells", SOLIDS.values(), ids=SOLIDS)
def test_every_edge_has_two_faces_afterwards(cells: list[Cell]) -> None:
    solid = skin(cells)
    assert not solid.is_watertight and solid.volume == pytest.approx(len(cells))
    vertices, faces = separated(np.array(solid.vertices), np.array(solid.faces, np.int64))
    parted = trimesh.Trimesh(vertices.astype(np.float32), faces)  # merges what is equal
    assert parted.is_watertight and parted.is_winding_consistent
    # What was there stays where it was; the new vertices lie inside.
    assert np.array_equal(vertices[: len(solid.vertices)], solid.vertices)
    assert len(cells) - 1e-3 < parted.volume < len(cells)


def test_a_closed_mesh_stays_as_it_is() -> None:
    ball = trimesh.creation.icosphere(1)
    vertices, faces = separated(np.array(ball.vertices), np.array(ball.faces, np.int64))
    assert np.array_equal(vertices, ball.vertices) and np.array_equal(faces, ball.faces)


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("corners", [(0, 1, 2), (1, 0, 2)])
def test_faces_back_to_back_enclose_nothing_and_go(copies: int, corners: tuple[int, int, int]) -> None:
    """Also those that lie on a face of the body, whose edges then have four faces of three corners in all."""
    ball = trimesh.creation.icosphere(1)
    flap = np.array(ball.faces[5][list(corners)], np.int64)
    faces = np.concatenate([ball.faces, *([flap[None], flap[None, ::-1]] * copies)])
    vertices, parted = separated(np.array(ball.vertices), faces)
    assert np.array_equal(vertices, ball.vertices)
    assert {tuple(face) for face in parted} == {tuple(face) for face in ball.faces} and len(parted) == len(
        ball.faces
    )
