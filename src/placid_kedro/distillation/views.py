"""View-dependent prompts: interpolated embeddings (by azimuth) and Perp-Neg."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.device import to_device
from placid_kedro.errors import ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class ViewEmbeddings:
    """Prompt embeddings of N >= 1 directions round the object.

    Attributes:
        azimuths_deg: [N].
        embeddings: [N, L, D].

    Raises:
        ShapeError: the two do not belong together.
        ParameterError: two azimuths are the same.
    """

    azimuths_deg: Tensor
    embeddings: Tensor

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 3 or self.azimuths_deg.shape != self.embeddings.shape[:1]:
            raise ShapeError(
                f"expected azimuths_deg [N] and embeddings [N,L,D], got {list(self.azimuths_deg.shape)} and "
                f"{list(self.embeddings.shape)}."
            )
        if len(torch.unique(self.azimuths_deg % 360)) != len(self.azimuths_deg):
            raise ParameterError("two directions share an azimuth; give each its own.")

    @classmethod
    def front_side_back(cls, front: Tensor, side: Tensor, back: Tensor) -> ViewEmbeddings:
        """From three embeddings [L,D]: front at 0, side at 90 and 270, back at 180 degrees."""
        return cls(torch.tensor([0.0, 90.0, 180.0, 270.0]), torch.stack([front, side, back, side]))

    def __call__(self, azimuth_deg: Tensor) -> Tensor:
        """Linear blend [B,L,D] of the two directions next to each azimuth [B], all the way round."""
        weights = _circular_weights(azimuth_deg, self.azimuths_deg).to(self.embeddings.dtype)
        weights = to_device(weights, self.embeddings.device)
        return torch.einsum("bn,nld->bld", weights, self.embeddings)


def _circular_weights(azimuth_deg: Tensor, anchors_deg: Tensor) -> Tensor:
    """Weights [B,N] of linear interpolation on the circle; each row sums to 1."""
    order = torch.argsort(anchors_deg % 360)
    anchors = (anchors_deg % 360)[order].double().cpu()
    azimuth = (azimuth_deg % 360).double().cpu()
    count = len(anchors)
    after = torch.searchsorted(anchors, azimuth, right=True)
    before, after = (after - 1) % count, after % count
    # With a single anchor both neighbours are the same and the gap is the whole circle.
    gap = (anchors[after] - anchors[before]) % 360
    share = ((azimuth - anchors[before]) % 360) / torch.where(gap == 0, 360.0, gap)
    weights = torch.zeros(len(azimuth), count, dtype=torch.float64)
    rows = torch.arange(len(azimuth))
    weights.index_put_((rows, order.cpu()[before]), 1 - share, accumulate=True)
    weights.index_put_((rows, order.cpu()[after]), share, accumulate=True)
    return weights


def perp_neg(D: Tensor, D_negatives: Tensor, weights: Tensor) -> Tensor:
    """D plus the weighted parts of the negatives' guidances that are perpendicular to it (Perp-Neg, Eq. 8).

    A zero D takes nothing from the negatives.

    Args:
        D: [B, C, h, w] e_c - e_u.
        D_negatives: [B, N, C, h, w] e_i - e_u.
        weights: [B, N], negative ones push away.

    Returns:
        [B, C, h, w].
    """
    flat, negatives = D.flatten(1).float(), D_negatives.flatten(2).float()
    squared = flat.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)
    along = torch.einsum("bnk,bk->bn", negatives, flat) / squared[:, None]
    perpendicular = negatives - along[..., None] * flat[:, None]
    perpendicular = torch.where((flat != 0).any(1)[:, None, None], perpendicular, 0.0)
    return D + torch.einsum("bn,bnk->bk", weights.to(flat), perpendicular).reshape(D.shape).to(D.dtype)


@dataclass(frozen=True, eq=False)
class PerpNegViews:
    """Perp-Neg for front, side and back views (Armandpour et al. 2023): embeddings [L,D] of the three.

    Between front and side the negatives are front and side, between side and back they are side and front;
    each weighs -(a exp(-b r) + c) of how near its own view is (r), with the constants that public
    implementations use.
    """

    front: Tensor
    side: Tensor
    back: Tensor

    def __call__(self, azimuth_deg: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For azimuths [B]: blended positive [B,L,D], negatives [B,2,L,D] and their weights [B,2]."""
        positive = ViewEmbeddings.front_side_back(self.front, self.side, self.back)(azimuth_deg)
        from_front = ((azimuth_deg + 180) % 360 - 180).abs() / 90
        in_front = from_front <= 1
        near_front, near_side = 1 - from_front, 2 - from_front
        front_half = torch.stack([_decay(4, 0.5, -2.426, near_front), _decay(4, 0.5, -2.426, from_front)], 1)
        back_half = torch.stack([_decay(1, 0.5, -0.606, near_side), _decay(1, 0.5, 0.967, near_side)], 1)
        weights = -torch.where(in_front[:, None], front_half, back_half)
        negatives = torch.where(
            to_device(in_front[:, None, None, None], self.front.device),
            torch.stack([self.front, self.side]),
            torch.stack([self.side, self.front]),
        )
        return positive, negatives, to_device(weights.to(self.front.dtype), self.front.device)


def _decay(a: float, b: float, c: float, nearness: Tensor) -> Tensor:
    """a exp(-b r) + c."""
    return a * torch.exp(-b * nearness) + c
