"""How near a density field's silhouettes and depths are to the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.evaluation.view_metrics import silhouette_iou
from placid_kedro.latent_plane.training.losses import DensityRender, pearson

# Where the field is emptier than this, the depth of a hit is not told from nothing.
_SMALLEST_OCCUPANCY = 1e-3


@dataclass(frozen=True)
class DensityScores:
    """Means over the views of one object.

    Attributes:
        silhouette_iou: of occupancy above one half against the true mask above one half.
        foreground_depth_pearson: correlation of the depth of a hit (expected depth over occupancy) with the true
            depth, over the pixels inside the true silhouette.
        depth_pearson: correlation of the expected depth with the true depth over all pixels, both 0 where
            nothing is hit (as in Eq. 10).
    """

    silhouette_iou: float
    foreground_depth_pearson: float
    depth_pearson: float


@torch.no_grad()
def score_density(render: DensityRender, mask: Tensor, depth: Tensor) -> DensityScores:
    """Compare one object's rendered density with the truth.

    Args:
        render: of V views, tensors [V, H, W].
        mask: [V, H, W] true coverage in [0, 1].
        depth: [V, H, W] true planar depth; what it holds outside the mask does not matter.
    """
    mask, depth = mask.to(render.occupancy), depth.to(render.depth)
    known = torch.where(mask > 0, depth, torch.zeros_like(depth))
    hit = render.depth / render.occupancy.clamp(min=_SMALLEST_OCCUPANCY)
    inside = (mask > 0.5).to(mask)
    return DensityScores(
        silhouette_iou=float(silhouette_iou(render.occupancy, mask).mean()),
        foreground_depth_pearson=float(pearson(hit.flatten(1), known.flatten(1), inside.flatten(1)).mean()),
        depth_pearson=float(
            pearson(render.depth.flatten(1), known.flatten(1), torch.ones_like(mask).flatten(1)).mean()
        ),
    )


def at_size(mask: Tensor, depth: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """True masks and depths [V, H, W] at another size, [V, size, size].

    A pixel's depth is the mean over the part of it that has a depth; 0 where nothing has.
    """
    known = (depth > 0).to(depth)
    share, covered, total = (
        F.interpolate(part[:, None], (size, size), mode="area")[:, 0] for part in (mask, known, depth)
    )
    return share, torch.where(covered > 0, total / covered.clamp(min=1e-6), torch.zeros_like(total))
