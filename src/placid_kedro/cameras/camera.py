"""A batch of pinhole cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.device import to_device
from placid_kedro.errors import ShapeError


@dataclass(frozen=True)
class Cameras:
    """C pinhole cameras that share one image size.

    Axes are OpenCV's: x right, y down, z forward. The centre of the top-left pixel is (0.5, 0.5).

    Attributes:
        world_to_camera: [C, 4, 4] float32, rigid.
        K: [C, 3, 3] float32 intrinsics in pixels.
        width: image width in pixels.
        height: image height in pixels.

    Raises:
        ShapeError: when the two tensors do not describe the same number of cameras, or for an empty image.
    """

    world_to_camera: Tensor
    K: Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        count = self.world_to_camera.shape[0] if self.world_to_camera.ndim else -1
        if self.world_to_camera.shape != (count, 4, 4) or self.K.shape != (count, 3, 3):
            raise ShapeError(
                f"Cameras need world_to_camera [C, 4, 4] and K [C, 3, 3], got "
                f"{tuple(self.world_to_camera.shape)} and {tuple(self.K.shape)}."
            )

        if self.width < 1 or self.height < 1:
            raise ShapeError(
                f"Cameras need an image size of at least 1 x 1, got {self.width} x {self.height}."
            )

    def __len__(self) -> int:
        return int(self.world_to_camera.shape[0])

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Cameras:
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"camera {index} of {len(self)}")
            index = [index]
        return Cameras(self.world_to_camera[index], self.K[index], self.width, self.height)

    def followed_by(self, others: Cameras) -> Cameras:
        """These cameras and then others of the same image size.

        Raises:
            ShapeError: the others' images are of another size.
        """
        if (self.width, self.height) != (others.width, others.height):
            raise ShapeError(
                f"Cameras of {others.width} x {others.height} pixels cannot follow cameras of "
                f"{self.width} x {self.height}."
            )
        return Cameras(
            torch.cat([self.world_to_camera, others.world_to_camera]),
            torch.cat([self.K, others.K]),
            self.width,
            self.height,
        )

    @property
    def positions(self) -> Tensor:
        """[C, 3] camera centres in the world."""
        return camera_positions(self.world_to_camera)

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return Cameras(
            to_device(self.world_to_camera, device), to_device(self.K, device), self.width, self.height
        )

    def double(self) -> Cameras:
        """The same cameras in float64, for what embeddings of high frequency or steep maps are read at."""
        return Cameras(self.world_to_camera.double(), self.K.double(), self.width, self.height)

    def resized(self, width: int, height: int) -> Cameras:
        """The same views as images (or feature maps) of another size; K scales with the pixels."""
        scale = self.K.new_tensor([width / self.width, height / self.height, 1.0])
        return Cameras(self.world_to_camera, scale[:, None] * self.K, width, height)

    def rays(self) -> tuple[Tensor, Tensor]:
        """Origins and directions through every pixel centre, both [C, H, W, 3].

        Directions have a z component of 1 in the camera, so a distance along them is a planar depth.
        """
        rows = torch.arange(self.height, dtype=self.K.dtype, device=self.K.device) + 0.5
        columns = torch.arange(self.width, dtype=self.K.dtype, device=self.K.device) + 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1)
        directions = torch.einsum("cij,hwj->chwi", torch.linalg.inv(self.K), pixels)
        directions = torch.einsum("cji,chwj->chwi", self.world_to_camera[:, :3, :3], directions)
        origins = self.positions[:, None, None, :].expand_as(directions)
        return origins, directions


def camera_positions(world_to_camera: Tensor) -> Tensor:
    """[C, 3] camera centres in the world, of rigid `world_to_camera` [C, 4, 4]."""
    rotation, translation = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    return -(rotation.transpose(1, 2) @ translation[:, :, None])[:, :, 0]


def focal_from_fov(fov_deg: float, size: int) -> float:
    """Focal length in pixels of a pinhole camera whose field of view over `size` pixels is `fov_deg`."""
    return 0.5 * size / math.tan(math.radians(fov_deg) / 2)
