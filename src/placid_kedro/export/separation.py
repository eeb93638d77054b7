"""Closed meshes whose sheets touch, made into meshes where every edge has two faces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# World units: unseen, but far more than the steps between float32 coordinates.
_GAP = 1e-4

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Wedge:
    """A part of the object at an edge: the two half-edges that bound it, and the unit vector from the edge into it."""

    sides: tuple[int, int]
    inwards: FloatArray


def separated(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Part the sheets of a closed mesh where more than two faces meet at an edge.

    Faces that lie back to back enclose nothing and go first. Such an edge is cut in its middle once for every part of
    the object that touches it, each time with a vertex of its own, a ten-thousandth inside that part, so that programs
    that merge equal points keep the parts apart.

    Args:
        vertices: [V, 3].
        faces: [F, 3], counter-clockwise seen from outside; as many run along each edge one way as the other.

    Returns:
        Vertices and faces; two faces at every edge, which run along it in opposite directions.
    """
    # Without them each round parts an edge and makes no new one that is crowded, so that this ends.
    faces = _without_flaps(faces)
    while len(crowd := _crowded_edge(faces)):
        for wedge in _wedges(vertices, faces, crowd):
            ends = _ends(faces, wedge.sides[0])
            middle = vertices[list(ends)].mean(axis=0) + _GAP * wedge.inwards
            faces = _cut(faces, wedge.sides, len(vertices))
            vertices = np.concatenate([vertices, middle[None]])
    return vertices, faces


def _without_flaps(faces: IntArray) -> IntArray:
    """Faces [F, 3] without pairs of the same corners that look opposite ways; of three such faces one stays."""
    first = faces.argmin(axis=1)
    turned = np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1)
    side = np.where(turned[:, 1] < turned[:, 2], 1, -1)
    _, place, counts = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True, return_counts=True)
    kept = np.ones(len(faces), dtype=bool)
    for corners in np.flatnonzero(counts > 1):
        same = np.flatnonzero(place.ravel() == corners)
        surplus = int(side[same].sum())
        kept[same] = False
        kept[same[side[same] * surplus > 0][: abs(surplus)]] = True
    chosen: IntArray = faces[kept]
    return chosen


def _crowded_edge(faces: IntArray) -> IntArray:
    """The half-edges of one edge that has more than two, or none; half-edge 3 f + k begins at corner k of face f."""
    edges = np.sort(np.stack([faces.ravel(), np.roll(faces, -1, axis=1).ravel()], axis=1), axis=1)
    _, edge, counts = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    crowded = np.flatnonzero(counts > 2)[:1]
    return np.flatnonzero(np.isin(edge.ravel(), crowded))


def _wedges(vertices: FloatArray, faces: IntArray, crowd: IntArray) -> list[_Wedge]:
    """The parts of the object around an edge, one for two of its half-edges `crowd`."""
    first, second = sorted(_ends(faces, int(crowd[0])))
    axis = _unit(vertices[second] - vertices[first])
    opposite = vertices[faces[crowd // 3, (crowd + 2) % 3]] - vertices[first]
    flat = opposite - np.outer(opposite @ axis, axis)
    x = _unit(flat[0])
    y = np.cross(axis, x)
    angles = np.arctan2(flat @ y, flat @ x)
    onward = faces.ravel()[crowd] == first
    waiting = list(np.flatnonzero(~onward))
    wedges = []
    for one in np.flatnonzero(onward):
        # Seen against the axis, the object lies clockwise of a face that runs along it.
        other = min(waiting, key=lambda index: (angles[one] - angles[index]) % math.tau)
        waiting.remove(other)
        within = angles[one] - (angles[one] - angles[other]) % math.tau / 2
        inwards = math.cos(within) * x + math.sin(within) * y
        wedges.append(_Wedge((int(crowd[one]), int(crowd[other])), inwards))
    return wedges


def _cut(faces: IntArray, sides: tuple[int, int], middle: int) -> IntArray:
    """Two faces cut in two, from the vertex `middle` of their common edge to the corner opposite; the first halves keep
    the faces' places."""
    cut, second_halves = faces.copy(), []
    for side in sides:
        face, corner = divmod(side, 3)
        cut[face, (corner + 1) % 3] = middle
        second_halves.append(np.where(np.arange(3) == corner, middle, faces[face]))
    return np.concatenate([cut, np.stack(second_halves)])


def _ends(faces: IntArray, side: int) -> tuple[int, int]:
    """From which vertex to which a half-edge runs."""
    return int(faces[side // 3, side % 3]), int(faces[side // 3, (side + 1) % 3])


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / max(float(np.linalg.norm(vector)), 1e-20)
    return unit
