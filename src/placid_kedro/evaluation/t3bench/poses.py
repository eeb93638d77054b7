"""From where T3Bench looks: the vertices of an icosphere, each with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from trimesh.creation import icosphere as trimesh_icosphere

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.camera import focal_from_fov
from placid_kedro.errors import ParameterError, ShapeError

# Nearer than this to the vertical a camera takes +y for its upward direction, else +z.
_VERTICAL = 0.99


@dataclass(frozen=True, eq=False)
class Icosphere:
    """P directions, evenly round a sphere.

    Attributes:
        directions: [P, 3] float64 of unit length.
        neighbours: of each vertex, the vertices that an edge leads to.
    """

    directions: NDArray[np.float64]
    neighbours: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.directions)


@lru_cache(maxsize=8)
def icosphere(subdivisions: int) -> Icosphere:
    """An icosahedron whose faces were divided in four so many times: 12, 42, 162 vertices for 0, 1, 2.

    The order of the vertices is trimesh's, as in the published script.

    Raises:
        ParameterError: for a negative number, or one above 5.
    """
    if not 0 <= subdivisions <= 5:
        raise ParameterError(f"An icosphere has 0 to 5 subdivisions, got {subdivisions}.")
    mesh = trimesh_icosphere(subdivisions=subdivisions)
    directions = np.array(mesh.vertices, np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Icosphere(directions, tuple(tuple(sorted(map(int, near))) for near in mesh.vertex_neighbors))


def cameras_towards(
    center: Tensor,
    directions: NDArray[np.float64],
    distance: float,
    field_of_view_deg: float | Sequence[float],
    size: int,
) -> Cameras:
    """Cameras at `center + distance * direction` that look at the centre, +z upwards.

    Where the direction is within |cos| >= 0.99 of the z axis, +y is upwards.

    Args:
        center: [3] float32, what they look at.
        directions: [P, 3] of unit length.
        distance: in world units, positive.
        field_of_view_deg: of the square images; several give so many cameras a direction, direction by direction.
        size: width and height in pixels.

    Raises:
        ShapeError: for a centre or directions of another shape.
        ParameterError: for a distance that is not positive and finite.
    """
    if center.shape != (3,) or directions.ndim != 2 or directions.shape[1] != 3:
        raise ShapeError(
            f"A centre must be [3] and directions [P, 3], got {list(center.shape)} and {list(directions.shape)}."
        )
    if not 0 < distance < float("inf"):
        raise ParameterError(f"Cameras need a positive, finite distance from the object, got {distance}.")
    up = np.where(np.abs(directions[:, 2:]) >= _VERTICAL, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    forward = -directions
    right = np.cross(forward, up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    positions = center.double().cpu().numpy() + distance * directions
    world_to_camera = np.tile(np.eye(4), (len(directions), 1, 1))
    world_to_camera[:, :3, :3] = rotation
    world_to_camera[:, :3, 3] = -np.einsum("pij,pj->pi", rotation, positions)
    fields = [field_of_view_deg] if isinstance(field_of_view_deg, float | int) else list(field_of_view_deg)
    focal = torch.tensor([focal_from_fov(field, size) for field in fields]).repeat(len(directions))
    K = torch.tensor([[1.0, 0.0, size / 2], [0.0, 1.0, size / 2], [0.0, 0.0, 1.0]]).repeat(len(focal), 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = focal
    poses = torch.from_numpy(world_to_camera).float().repeat_interleave(len(fields), dim=0)
    return Cameras(poses, K, size, size)
