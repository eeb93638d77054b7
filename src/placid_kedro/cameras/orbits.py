"""Cameras that look at the origin from a sphere around it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from placid_kedro.cameras.camera import Cameras, focal_from_fov
from placid_kedro.errors import ParameterError

# The paper's eight views (Sec. 4.2; every second view of SyncDreamer's sixteen).
MULTIVIEW_AZIMUTHS_DEG = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
MULTIVIEW_ELEVATION_DEG = 30.0
MULTIVIEW_DISTANCE = 1.5
MULTIVIEW_FOCAL_AT_256 = 280.0

Angles = Tensor | Sequence[float] | float


def orbit(azimuth_deg: Angles, elevation_deg: Angles, distance: Angles, focal: float, size: int) -> Cameras:
    """Cameras on a sphere, looking at the origin with the world's +z upwards.

    Args:
        azimuth_deg: counter-clockwise seen from above; 0 is the front, on the +x axis. [C] or a number.
        elevation_deg: up from the horizon, inside (-90, 90). [C] or a number.
        distance: from the origin, in world units. [C] or a number.
        focal: focal length in pixels.
        size: width and height in pixels.

    Raises:
        ParameterError: for an elevation at a pole, where "up" has no direction in the image.
    """
    columns = [
        torch.as_tensor(value, dtype=torch.float32).reshape(-1)
        for value in (azimuth_deg, elevation_deg, distance)
    ]
    azimuth, elevation, radius = torch.broadcast_tensors(*columns)
    if bool((elevation.abs() >= 90).any()):
        raise ParameterError("elevation_deg must lie strictly between -90 and 90.")
    azimuth, elevation = torch.deg2rad(azimuth), torch.deg2rad(elevation)
    outward = torch.stack(
        [elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()], dim=-1
    )
    right = torch.stack([-azimuth.sin(), azimuth.cos(), torch.zeros_like(azimuth)], dim=-1)
    down = torch.linalg.cross(right, outward)
    rotation = torch.stack([right, down, -outward], dim=1)
    world_to_camera = torch.eye(4).repeat(len(azimuth), 1, 1)
    world_to_camera[:, :3, :3] = rotation
    # The origin lies straight ahead, at the camera's distance.
    world_to_camera[:, 2, 3] = radius
    K = torch.tensor([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
    return Cameras(world_to_camera, K.repeat(len(azimuth), 1, 1), size, size)


def ring(
    count: int,
    elevation_deg: float,
    distance: float,
    fov_deg: float,
    size: int,
    first_azimuth_deg: float = 0.0,
) -> Cameras:
    """`count` cameras evenly spaced in azimuth, counter-clockwise from the front or another first; see `orbit`."""
    azimuths = [first_azimuth_deg + 360.0 * index / count for index in range(count)]
    return orbit(azimuths, elevation_deg, distance, focal_from_fov(fov_deg, size), size)


def sphere(count: int, distance: float, fov_deg: float, size: int) -> Cameras:
    """`count` cameras evenly spread over all directions, on a golden spiral from the top to the bottom; see `orbit`."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    elevation_deg = torch.rad2deg(torch.asin(1 - 2 * index / count))
    azimuth_deg = index * math.degrees(math.pi * (3 - math.sqrt(5))) % 360
    return orbit(azimuth_deg, elevation_deg, distance, focal_from_fov(fov_deg, size), size)


def multiview_cameras(size: int = 256, azimuths_deg: Sequence[float] = MULTIVIEW_AZIMUTHS_DEG) -> Cameras:
    """The paper's ring of views: elevation 30 degrees, distance 1.5, focal 280 px at 256 px (Sec. 4.2)."""
    focal = MULTIVIEW_FOCAL_AT_256 * size / 256
    return orbit(list(azimuths_deg), MULTIVIEW_ELEVATION_DEG, MULTIVIEW_DISTANCE, focal, size)


def random_orbit(
    count: int,
    generator: torch.Generator,
    *,
    elevation_range_deg: tuple[float, float],
    distance_range: tuple[float, float],
    fov_range_deg: tuple[float, float],
    size: int,
    azimuth_range_deg: tuple[float, float] = (0.0, 360.0),
) -> tuple[Cameras, Tensor]:
    """Cameras drawn uniformly from ranges, looking at the origin.

    Args:
        count: how many.
        generator: draws azimuths, elevations, distances and fields of view in this order, on the CPU.
        elevation_range_deg: lower and upper bound, inside (-90, 90).
        distance_range: from the origin, in world units.
        fov_range_deg: full angle of the square images.
        size: width and height in pixels.
        azimuth_range_deg: as `orbit` measures it.

    Returns:
        The cameras and their azimuths [count] in degrees (view-dependent prompts need them).

    Raises:
        ParameterError: as `orbit`.
    """

    def uniform(bounds: tuple[float, float]) -> Tensor:
        return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(count, generator=generator)

    azimuth_deg = uniform(azimuth_range_deg)
    elevation_deg, distance, fov_deg = (
        uniform(b) for b in (elevation_range_deg, distance_range, fov_range_deg)
    )
    cameras = orbit(azimuth_deg, elevation_deg, distance, 1.0, size)
    focal = 0.5 * size / torch.tan(torch.deg2rad(fov_deg) / 2)
    K = cameras.K.clone()
    K[:, 0, 0] = K[:, 1, 1] = focal
    return Cameras(cameras.world_to_camera, K, size, size), azimuth_deg
