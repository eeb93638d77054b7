"""All views of all trained objects in a few arrays on disk, of which a batch reads only its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.errors import DataError
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.progress import SILENT, Progress

_DESCRIPTION = "views.json"
_ARRAYS = ("rgba", "depth", "world_to_camera")


@dataclass(frozen=True)
class ViewArrays:
    """V views of each of N objects; the arrays are mapped, not loaded.

    Attributes:
        uids: N, the objects in their order.
        rgba: [N, V, H, W, 4] uint8, straight alpha.
        depth: [N, V, H, W] float16, planar depth, 0 where there is nothing.
        world_to_camera: [N, V, 4, 4] float32.
        K: [3, 3] float32, shared by all views.
        digest: hash of what the views were made of.
    """

    uids: tuple[str, ...]
    rgba: NDArray[np.uint8]
    depth: NDArray[np.float16]
    world_to_camera: NDArray[np.float32]
    K: NDArray[np.float32]
    digest: str

    @classmethod
    def open(cls, folder: Path) -> ViewArrays:
        """Open a folder that `PackedViews` wrote.

        Raises:
            DataError: it is not one.
        """
        try:
            described = json.loads((folder / _DESCRIPTION).read_text())
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
            K = np.array(described["K"], np.float32)
            return cls(uids=tuple(described["uids"]), K=K, digest=described["digest"], **arrays)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{folder} holds no packed views; run `kedro run --pipeline pretrain`."
            ) from error

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def view_count(self) -> int:
        """V."""
        return int(self.rgba.shape[1])

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.rgba.shape[2])

    @property
    def focal(self) -> float:
        """Of all cameras, in image widths."""
        return float(self.K[0, 0]) / self.size

    def azimuths_deg(self) -> Tensor:
        """[V] azimuths in [0, 360), to a hundredth of a degree; all objects share them."""
        position = self.cameras(0, range(self.view_count)).positions
        azimuth = torch.rad2deg(torch.atan2(position[:, 1], position[:, 0])) % 360
        return azimuth.mul(100).round().div(100) % 360

    def cameras(self, index: int, views: Any) -> Cameras:
        """The cameras of some views of an object."""
        world_to_camera = torch.from_numpy(np.array(self.world_to_camera[index, list(views)]))
        K = torch.from_numpy(self.K).expand(len(world_to_camera), 3, 3)
        return Cameras(world_to_camera, K, self.size, self.size)

    def rgba_of(self, index: int) -> Tensor:
        """[V, H, W, 4] float32 in [0, 1], straight alpha."""
        return torch.from_numpy(self.rgba[index].astype(np.float32) / 255)

    def masks(self, index: int, views: Any) -> Tensor:
        """[len(views), H, W] float32 in [0, 1]."""
        return torch.from_numpy(self.rgba[index, list(views), ..., 3].astype(np.float32) / 255)

    def coverage(self, size: int, rows: slice = slice(None)) -> Tensor:
        """[len(rows), V, size, size] float32: the share of each patch of an image that the object covers."""
        every = range(self.view_count)
        indices = range(len(self))[rows]
        return torch.stack([F.adaptive_avg_pool2d(self.masks(index, every), size) for index in indices])

    def depths(self, index: int, views: Any) -> Tensor:
        """[len(views), H, W] float32."""
        return torch.from_numpy(self.depth[index, list(views)].astype(np.float32))

    def images(self, index: Any, views: Any) -> Tensor:
        """Images over white [..., 3, H, W] float32 in [0, 1], by numpy's rules for two indices."""
        rgba = self.rgba[index, views].astype(np.float32) / 255
        alpha = rgba[..., 3:]
        return torch.from_numpy(np.moveaxis(rgba[..., :3] * alpha + (1 - alpha), -1, -3).copy())


@dataclass(frozen=True)
class PackedViews:
    """Rendered objects on their way into a folder of arrays.

    Attributes:
        sets: of objects, all rendered with one protocol; their rows follow each other.
        digest: hash of what the views were made of.
        progress: shows the bar.
    """

    sets: tuple[RenderedObjects, ...]
    digest: str
    progress: Progress = SILENT

    def save_pretrained(self, save_directory: Path) -> None:
        """Write the arrays into an existing folder, object by object.

        Raises:
            DataError: an object's views are missing or of another protocol.
        """
        first = self.sets[0].read(0)
        shapes = {
            "rgba": ((*first.rgba.shape[:1], *first.rgba.shape[2:], 4), np.uint8),
            "depth": (tuple(first.depth.shape), np.float16),
            "world_to_camera": (tuple(first.cameras.world_to_camera.shape), np.float32),
        }
        places = [(objects, index) for objects in self.sets for index in range(len(objects))]
        count = len(places)
        arrays = {
            name: np.lib.format.open_memmap(save_directory / f"{name}.npy", "w+", dtype, (count, *shape))
            for name, (shape, dtype) in shapes.items()
        }
        for row in self.progress.track(range(count), description="pack views"):
            objects, index = places[row]
            views = objects.read(index)
            if views.rgba.shape != first.rgba.shape or not torch.equal(views.cameras.K, first.cameras.K):
                raise DataError(
                    f"The views of {views.uid} follow another protocol; delete them and render again."
                )
            arrays["rgba"][row] = views.rgba.mul(255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
            arrays["depth"][row] = views.depth.numpy().astype(np.float16)
            arrays["world_to_camera"][row] = views.cameras.world_to_camera.numpy()
        for array in arrays.values():
            array.flush()
        uids = [uid for objects in self.sets for uid in objects.uids]
        described = {"uids": uids, "K": first.cameras.K[0].tolist(), "digest": self.digest}
        (save_directory / _DESCRIPTION).write_text(json.dumps(described) + "\n", encoding="utf-8")
