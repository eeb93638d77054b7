"""Polygons to triangles."""

from __future__ import annotations

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

# A triangle of a fan that turns the other way by more than this share of the polygon's area makes it concave.
_TURNED = 1e-6


def triangulate(points: NDArray[np.float64], polygons: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut polygons with the same number of corners into triangles that turn as they do.

    Convex polygons become fans from their first corner; the others are cut by ear clipping in the plane of their
    Newell normal (Newell's method as in Sutherland, Sproull and Schumacker 1974), which leaves gaps and holes open
    that are joined to the outline by a seam.

    Args:
        points: [V, 3].
        polygons: [M, K] indices of points, K at least 3.

    Returns:
        [F, 3] indices of points.
    """
    count, corners = polygons.shape
    if corners == 3 or not count:
        return polygons.reshape(-1, 3)
    places = points[polygons]
    rays = places[:, 1:] - places[:, :1]
    turns = np.cross(rays[:, :-1], rays[:, 1:])
    normals = turns.sum(axis=1)
    lengths = np.linalg.norm(normals, axis=1)
    areas = np.einsum("mkc,mc->mk", turns, normals / np.maximum(lengths, 1e-300)[:, None])
    # A polygon without an area has no inside either.
    is_fan = (areas >= -_TURNED * lengths[:, None]).all(axis=1) | ~(lengths > 0)
    fan = np.stack(
        [
            np.repeat(polygons[is_fan, :1], corners - 2, axis=1),
            polygons[is_fan, 1:-1],
            polygons[is_fan, 2:],
        ],
        axis=-1,
    ).reshape(-1, 3)
    clipped = [
        _clip(places[index], normals[index] / lengths[index], polygons[index])
        for index in np.flatnonzero(~is_fan)
    ]
    return np.concatenate([fan, *clipped])


def _clip(places: NDArray[np.float64], normal: NDArray[np.float64], polygon: NDArray[np.int64]) -> NDArray:
    """Triangles of one polygon by ear clipping."""
    along = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    along /= np.linalg.norm(along)
    flat = np.ascontiguousarray((places - places[0]) @ np.stack([along, np.cross(normal, along)]).T)
    ends = np.array([len(flat)], np.uint32)
    triangles = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3).astype(np.int64)
    first, second = (flat[triangles[:, k]] - flat[triangles[:, 0]] for k in (1, 2))
    if (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum() < 0:
        triangles = triangles[:, ::-1]
    return polygon[triangles]
