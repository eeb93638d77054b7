"""To and from the axes that Blender, Zero-1-to-3 and MVDream use."""

from __future__ import annotations

import torch
from torch import Tensor

from placid_kedro.cameras.camera import camera_positions

# Blender's and OpenGL's cameras look along -z with y up; OpenCV's along +z with y down.
_FLIP_YZ = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


def opencv_to_blender(world_to_camera: Tensor) -> Tensor:
    """OpenCV `world_to_camera` [..., 4, 4] to Blender's camera `matrix_world` (camera to world) [..., 4, 4]."""
    return torch.linalg.inv(_FLIP_YZ.to(world_to_camera) @ world_to_camera)


def blender_to_opencv(matrix_world: Tensor) -> Tensor:
    """Blender's camera `matrix_world` [..., 4, 4] to OpenCV `world_to_camera` [..., 4, 4]."""
    return _FLIP_YZ.to(matrix_world) @ torch.linalg.inv(matrix_world)


# Our front is on the +x axis, MVDream's, as Blender's, on the -y axis; azimuths grow counter-clockwise in both.
_TO_BLENDERS_FRONT = torch.tensor([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def mvdream_camera(world_to_camera: Tensor) -> Tensor:
    """The sixteen numbers with which MVDream is told of a camera.

    Args:
        world_to_camera: [C, 4, 4] OpenCV.

    Returns:
        [C, 16]: row after row of Blender's `matrix_world`, where azimuth 0 is at -y, with the camera at distance 1.
    """
    matrix_world = _TO_BLENDERS_FRONT.to(world_to_camera) @ opencv_to_blender(world_to_camera)
    position = matrix_world[:, :3, 3]
    near = matrix_world.clone()
    near[:, :3, 3] = position / position.norm(dim=-1, keepdim=True)
    return near.flatten(1)


def _spherical(world_to_camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Azimuth and elevation in radians and distance of cameras, each [C]."""
    position = camera_positions(world_to_camera)
    distance = position.norm(dim=-1)
    elevation = torch.asin((position[:, 2] / distance).clamp(-1, 1))
    azimuth = torch.atan2(position[:, 1], position[:, 0])
    return azimuth, elevation, distance


def relative_pose(reference: Tensor, target: Tensor) -> Tensor:
    """The four numbers with which Zero-1-to-3 conditions a view (its `T`).

    Zero-1-to-3 measures the polar angle from the pole, so its first number grows when the camera sinks; its
    azimuth grows counter-clockwise like ours.

    Args:
        reference: [1 or C, 4, 4] `world_to_camera` of the input view.
        target: [C, 4, 4] `world_to_camera` of the wanted views.

    Returns:
        [C, 4]: polar difference (radians), sine and cosine of the azimuth difference, distance difference.
    """
    azimuth_0, elevation_0, distance_0 = _spherical(reference)
    azimuth, elevation, distance = _spherical(target)
    turn = azimuth - azimuth_0
    return torch.stack([elevation_0 - elevation, turn.sin(), turn.cos(), distance - distance_0], dim=-1)
