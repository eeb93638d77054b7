"""Cameras as plain lists, for JSON files."""

from __future__ import annotations

from typing import Any

import torch

from placid_kedro.cameras.camera import Cameras


def cameras_to_config(cameras: Cameras) -> dict[str, Any]:
    """Plain lists that `cameras_from_config` reads back bit for bit."""
    return {
        "world_to_camera": cameras.world_to_camera.tolist(),
        "K": cameras.K.tolist(),
        "width": cameras.width,
        "height": cameras.height,
    }


def cameras_from_config(config: dict[str, Any]) -> Cameras:
    """The cameras that `cameras_to_config` wrote."""
    return Cameras(
        torch.tensor(config["world_to_camera"], device="cpu"),
        torch.tensor(config["K"], device="cpu"),
        config["width"],
        config["height"],
    )
