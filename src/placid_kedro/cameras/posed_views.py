"""Images together with the cameras that they were taken with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.cameras.camera import Cameras
from placid_kedro.errors import ShapeError


@dataclass(frozen=True, eq=False)
class PosedViews:
    """N images of one object and their cameras.

    Attributes:
        images: [N, 3 or 4, H, W] float32 in [0, 1].
        cameras: N cameras of images of W x H pixels.
        weights: [N] on the CPU, how often each view is looked at where something is fitted to them; None: all alike.

    Raises:
        ShapeError: they do not belong together.
    """

    images: Tensor
    cameras: Cameras
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        expected = (len(self.cameras), self.cameras.height, self.cameras.width)
        if self.images.ndim != 4 or (len(self.images), *self.images.shape[2:]) != expected:
            raise ShapeError(
                f"Posed views of {expected[0]} cameras need images [{expected[0]}, C, {expected[1]}, {expected[2]}], "
                f"got {list(self.images.shape)}."
            )
        if self.weights is not None and self.weights.shape != expected[:1]:
            raise ShapeError(
                f"Posed views of {expected[0]} cameras need weights [{expected[0]}], got "
                f"{list(self.weights.shape)}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def followed_by(self, others: PosedViews) -> PosedViews:
        """These views and then others of the same size.

        Raises:
            ShapeError: their images are of another size.
        """
        cameras = self.cameras.followed_by(others.cameras)
        weights = torch.cat([self.weights_or_ones(), others.weights_or_ones()])
        return PosedViews(torch.cat([self.images, others.images]), cameras, weights)

    def weights_or_ones(self) -> Tensor:
        """[N] float32, the weights; 1 where none are given."""
        return torch.ones(len(self)) if self.weights is None else self.weights

    def to(self, device: torch.device | str) -> PosedViews:
        """The same views on another device; the weights stay where views are drawn."""
        return PosedViews(self.images.to(device), self.cameras.to(device), self.weights)

    def azimuths_deg(self) -> list[float]:
        """From where the object is seen, in [0, 360), counter-clockwise from the front."""
        position = self.cameras.positions
        return (torch.rad2deg(torch.atan2(position[:, 1], position[:, 0])) % 360).tolist()
