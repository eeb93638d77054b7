"""What a Latent-Plane is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ObjectInputs:
    """What the plane is given of one object.

    Attributes:
        features: [N, C, H, W] the feature maps of its N views, in the order of the plane's cameras.
        t_emb: [E] the UNet's time embedding.
        silhouette: [sH, sW] how much of each pixel the object covers in the first view, in [0, 1]; None for a plane
            that does not read it.
    """

    features: Tensor
    t_emb: Tensor
    silhouette: Tensor | None = None

    @property
    def batch(self) -> PlaneInputs:
        """The same as a batch of one."""
        silhouette = None if self.silhouette is None else self.silhouette[None]
        return PlaneInputs(self.features[None], self.t_emb[None], silhouette)


@dataclass(frozen=True)
class PlaneInputs:
    """What the plane is given of B objects.

    Attributes:
        features: [B, N, C, H, W].
        t_emb: [B, E].
        silhouette: [B, sH, sW], or None; see `ObjectInputs`.
    """

    features: Tensor
    t_emb: Tensor
    silhouette: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> ObjectInputs:
        silhouette = None if self.silhouette is None else self.silhouette[index]
        return ObjectInputs(self.features[index], self.t_emb[index], silhouette)

    def __iter__(self) -> Iterator[ObjectInputs]:
        return (self[index] for index in range(len(self)))

    def detach(self) -> PlaneInputs:
        """The same without their history."""
        return PlaneInputs(self.features.detach(), self.t_emb.detach(), self.silhouette)
