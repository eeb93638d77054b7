"""Points seen in the views' feature maps, and embeddings of positions (Eq. 3, App. D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import project


def harmonic_embedding(vectors: Tensor, num_octaves: int) -> Tensor:
    """`[p, sin p, cos p, sin 2p, cos 2p, ...]` without a factor pi.

    Args:
        vectors: [..., D] positions.
        num_octaves: number of frequencies 1, 2, 4, ...

    Returns:
        [..., D * (1 + 2 * num_octaves)], the input first, then sine before cosine for each frequency.
    """
    frequencies = 2.0 ** torch.arange(num_octaves, dtype=vectors.dtype, device=vectors.device)
    angles = vectors[..., None, :] * frequencies[:, None]
    waves = torch.stack([angles.sin(), angles.cos()], dim=-2)
    return torch.cat([vectors, waves.flatten(start_dim=-3)], dim=-1)


@dataclass(frozen=True)
class BilinearTaps:
    """Bilinear sampling of N maps at P points as four weighted rows of a table [N * H * W, C].

    Attributes:
        rows: [P, N, 4] int64.
        weights: [P, N, 4] float32, summing to one.
    """

    rows: Tensor
    weights: Tensor

    def __getitem__(self, index: slice | Tensor) -> BilinearTaps:
        return BilinearTaps(self.rows[index], self.weights[index])

    def to(self, device: torch.device) -> BilinearTaps:
        """The same on another device."""
        return BilinearTaps(self.rows.to(device), self.weights.to(device))

    def sample(self, table: Tensor) -> Tensor:
        """Rows of `table` [N * H * W, C] blended to [P, N, C]."""
        points, views, taps = self.rows.shape
        sampled = torch.nn.functional.embedding_bag(
            self.rows.reshape(-1, taps),
            table,
            per_sample_weights=self.weights.reshape(-1, taps).to(table.dtype),
            mode="sum",
        )
        return sampled.reshape(points, views, table.shape[-1])

    def sample_view(self, values: Tensor, view: int) -> Tensor:
        """Values [H * W] of one view's map blended to [P]."""
        size = len(values)
        return (values[self.rows[:, view] - view * size] * self.weights[:, view].to(values)).sum(-1)


def bilinear_taps(points: Tensor, cameras: Cameras) -> BilinearTaps:
    """How N feature maps are sampled at the projections of `points` [P, 3]; outside, a map's border repeats.

    The projection is computed in float64: a feature map's texels are few and its gradients steep.
    """
    width, height = cameras.width, cameras.height
    pixels = project(points.double(), cameras) - 0.5
    x = pixels[..., 0].clamp(0, width - 1)
    y = pixels[..., 1].clamp(0, height - 1)
    left = x.floor().clamp(max=max(width - 2, 0))
    top = y.floor().clamp(max=max(height - 2, 0))
    right_share, bottom_share = x - left, y - top
    weights = torch.stack(
        [
            (1 - right_share) * (1 - bottom_share),
            right_share * (1 - bottom_share),
            (1 - right_share) * bottom_share,
            right_share * bottom_share,
        ],
        dim=-1,
    )
    left, top = left.long(), top.long()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    view = torch.arange(len(cameras), device=points.device) * (width * height)
    rows = torch.stack(
        [top * width + left, top * width + right, bottom * width + left, bottom * width + right], dim=-1
    )
    return BilinearTaps(rows + view[:, None], weights.float())


@dataclass(frozen=True)
class SampledPoints:
    """Points with everything about them that depends on the cameras only.

    Attributes:
        taps: where the P points fall in the N feature maps.
        embedding: [P, M] their coordinate embedding.
    """

    taps: BilinearTaps
    embedding: Tensor

    def __len__(self) -> int:
        return len(self.embedding)

    def __getitem__(self, index: slice | Tensor) -> SampledPoints:
        return SampledPoints(self.taps[index], self.embedding[index])

    def to(self, device: torch.device) -> SampledPoints:
        """The same on another device."""
        return SampledPoints(self.taps.to(device), self.embedding.to(device))


@dataclass(frozen=True)
class UnsampledPoints:
    """Points that become `SampledPoints` a block at a time: a block's taps and embedding alone are in memory.

    Attributes:
        positions: [P, 3] in the world.
        cameras: N views, at the size of their feature maps.
        num_octaves: of the coordinate embedding.
    """

    positions: Tensor
    cameras: Cameras
    num_octaves: int

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: slice | Tensor) -> SampledPoints:
        positions = self.positions[index]
        embedding = harmonic_embedding(positions, self.num_octaves).float()
        return SampledPoints(bilinear_taps(positions, self.cameras), embedding)
