"""Where an object is seen from, and the file that holds what is seen."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from placid_kedro.cameras import Cameras, orbit
from placid_kedro.files import new_file
from placid_kedro.foreign import check_members, reading
from placid_kedro.objects.config import RenderProtocol
from placid_kedro.rendering import Render

_CAMERAS = "cameras.json"
_DEPTH_LEVELS = 2**16 - 1
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAX_BYTES = 2**30
_EXPECTED = ("the views of an object", "render it again")


def object_cameras(protocol: RenderProtocol, uid: str, seed: int) -> Cameras:
    """The views of one object.

    Args:
        protocol: rings of views.
        uid: of the object; each draws its own elevations.
        seed: of the run.

    Returns:
        One camera a view, ring after ring.
    """
    digest = hashlib.sha256(f"{seed}:{uid}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    azimuths, elevations = [], []
    for ring in protocol.rings:
        azimuths.append(ring.first_azimuth_deg + torch.arange(ring.views) * (360.0 / ring.views))
        low, high = ring.elevation_deg
        elevations.append(low + (high - low) * torch.rand(ring.views, generator=generator))
    focal = protocol.focal_at_256 * protocol.size / 256
    return orbit(torch.cat(azimuths), torch.cat(elevations), protocol.distance, focal, protocol.size)


@dataclass(frozen=True)
class ObjectViews:
    """Some views of one object.

    Attributes:
        uid: of the object.
        caption: of the object; may be empty.
        cameras: V cameras.
        rgba: [V, 4, H, W] float32 in [0, 1], straight alpha.
        depth: [V, H, W] float32 planar depth (camera z), 0 where there is nothing.
    """

    uid: str
    caption: str
    cameras: Cameras
    rgba: Tensor
    depth: Tensor

    @property
    def mask(self) -> Tensor:
        """[V, H, W] float32 in [0, 1], how much of each pixel the object covers."""
        return self.rgba[:, 3]


def write_views(path: Path, cameras: Cameras, render: Render) -> None:
    """Write all views of one object as a zip of PNG images; the same input gives the same bytes.

    Depth is stored in 16 bits, in steps of the farthest corner's distance / 65535 (3.6e-5 at distance 1.5).
    """
    farthest = float(cameras.positions.norm(dim=-1).max()) + math.sqrt(3) / 2
    unit = farthest / _DEPTH_LEVELS
    described = {
        "width": cameras.width,
        "height": cameras.height,
        "depth_unit": unit,
        "world_to_camera": cameras.world_to_camera.tolist(),
        "K": cameras.K.tolist(),
    }
    with new_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, _CAMERAS, json.dumps(described).encode())
        for view in range(len(cameras)):
            levels = np.rint(render.depth[view].astype(np.float64) / unit).clip(0, _DEPTH_LEVELS)
            _add(archive, f"rgba_{view:03d}.png", _png(render.rgba[view]))
            _add(archive, f"depth_{view:03d}.png", _png(levels.astype(np.uint16)))


def count_views(path: Path) -> int:
    """How many views a file holds.

    Raises:
        DataError: the file is missing or damaged.
    """
    with reading(path, *_EXPECTED), zipfile.ZipFile(path) as archive:
        return len(_described(archive)["K"])


def read_views(path: Path, uid: str, caption: str, views: Sequence[int] | None = None) -> ObjectViews:
    """Read views of one object; the file is open only meanwhile.

    Args:
        path: a file that `write_views` wrote.
        uid: of the object.
        caption: of the object.
        views: which, in the order wanted; all of them by default.

    Raises:
        DataError: the file is missing, damaged, or has no such view.
    """
    with reading(path, *_EXPECTED):
        with zipfile.ZipFile(path) as archive:
            described = _described(archive)
            chosen = range(len(described["K"])) if views is None else views
            shape = (described["height"], described["width"])
            rgba = [_image(archive, f"rgba_{view:03d}.png", (*shape, 4)) for view in chosen]
            depth = [_image(archive, f"depth_{view:03d}.png", shape) for view in chosen]
        index = torch.tensor(list(chosen), dtype=torch.long)
        cameras = Cameras(
            torch.tensor(described["world_to_camera"], dtype=torch.float32)[index],
            torch.tensor(described["K"], dtype=torch.float32)[index],
            described["width"],
            described["height"],
        )
        colors = torch.from_numpy(np.stack(rgba)).permute(0, 3, 1, 2).contiguous().float() / 255
        planar = torch.from_numpy(np.stack(depth).astype(np.float32) * np.float32(described["depth_unit"]))
        return ObjectViews(uid, caption, cameras, colors, planar)


def _described(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What the archive says of its views, which may not unpack to more than memory holds."""
    check_members(archive, archive.infolist(), _MAX_BYTES)
    described: dict[str, Any] = json.loads(archive.read(_CAMERAS))
    return described


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)


def _png(pixels: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def _image(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    with archive.open(name) as stream, Image.open(stream, formats=("PNG",)) as image:
        if (image.height, image.width) != shape[:2]:
            raise ValueError(f"{name} is not as large as the cameras say")
        pixels = np.asarray(image)
    if pixels.shape != shape:
        raise ValueError(f"{name} has other channels than it should")
    return pixels
