"""The views that a Latent-Plane was made for."""

from __future__ import annotations

import math

import torch

from placid_kedro.cameras import Cameras
from placid_kedro.errors import ParameterError


def check_views(own: Cameras, wanted: Cameras) -> None:
    """Refuse other views than those that a plane knows.

    Args:
        own: the plane's cameras, of any image size.
        wanted: those that are to be sampled.

    Raises:
        ParameterError: saying which views the plane was made for.
    """
    own, wanted = own.resized(wanted.width, wanted.height), wanted.to("cpu")
    if (
        len(own) != len(wanted)
        or not torch.allclose(own.world_to_camera, wanted.world_to_camera, atol=1e-3)
        or not torch.allclose(own.K, wanted.K, rtol=1e-3)
    ):
        raise ParameterError(
            f"This Latent-Plane was made for {len(own)} other views than the {len(wanted)} that are wanted: for "
            f"{_words(own)}; give it these."
        )


def _words(cameras: Cameras) -> str:
    position, focal = cameras.positions[0], float(cameras.K[0, 1, 1])
    distance = float(position.norm())
    elevation = math.degrees(math.asin(float(position[2]) / distance))
    field = math.degrees(2 * math.atan(cameras.height / 2 / focal))
    return (
        f"{len(cameras)} at elevation {elevation:.4g}, distance {distance:.4g} and field of view {field:.4g}"
    )
