"""Pictures of an object along a turn of the camera: PNG with alpha, a GIF, a video."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from placid_kedro.cameras import ring
from placid_kedro.export.config import CameraPath
from placid_kedro.splats import Gaussians, render
from placid_kedro.video import write_mp4


def pictures_along(gaussians: Gaussians, path: CameraPath) -> list[Image.Image]:
    """One RGBA picture a frame, colours not multiplied by alpha."""
    cameras = ring(path.frames, path.elevation_deg, path.distance, path.field_of_view_deg, path.size)
    pictures = []
    for index in range(len(cameras)):
        with torch.no_grad():
            seen = render(gaussians, cameras[index], torch.zeros(3))
        colours = (seen.rgb[0] / seen.alpha[0].clamp_min(1e-6)).clamp(0, 1)
        pictures.append(_picture(torch.cat([colours, seen.alpha[0].clamp(0, 1)])))
    return pictures


def write_pngs(pictures: Iterable[Image.Image], folder: Path) -> None:
    """Write `000.png`, `001.png`, ... into a folder that is made."""
    folder.mkdir()
    for index, picture in enumerate(pictures):
        picture.save(folder / f"{index:03d}.png")


def write_gif(pictures: Iterable[Image.Image], path: Path, fps: int) -> None:
    """Write a turn over white that begins anew for ever.

    Args:
        pictures: RGBA, one at least.
        path: of the file.
        fps: frames a second; GIF counts in hundredths of a second.
    """
    frames = _over_white(pictures)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)


def write_video(pictures: Iterable[Image.Image], path: Path, fps: int) -> None:
    """Write a turn over white as MP4.

    Args:
        pictures: RGBA of even sizes, one at least.
        path: of the file.
        fps: frames a second.
    """
    write_mp4([np.asarray(frame) for frame in _over_white(pictures)], path, fps)


def _over_white(pictures: Iterable[Image.Image]) -> list[Image.Image]:
    return [
        Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        for picture in pictures
    ]


def _picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray((255 * pixels).round().byte().permute(1, 2, 0).cpu().numpy(), "RGBA")
