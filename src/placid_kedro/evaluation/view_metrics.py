"""How near views and silhouettes are to the true ones."""

from __future__ import annotations

from typing import Protocol

import torch
from skimage.metrics import structural_similarity as skimage_structural_similarity
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import ShapeError

_STRUCTURE_SIGMA = 1.5  # pixels, as in Wang et al. 2004


class FeatureMaps(Protocol):
    """An image encoder whose stages can be read: images [N, 3, H, W] in [0, 1] to maps [N, C, h, w]."""

    def feature_maps(self, images: Tensor) -> list[Tensor]: ...


def silhouette_iou(first: Tensor, second: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union of silhouettes; 1 where both are empty.

    Args:
        first: [..., H, W] coverage in [0, 1].
        second: of the same shape.
        threshold: what exceeds it belongs to the object.

    Returns:
        [...] float32 in [0, 1].

    Raises:
        ShapeError: when the shapes differ.
    """
    _check_shapes(first, second)
    a, b = first > threshold, second > threshold
    intersection, union = ((part.sum(dim=(-2, -1)).float()) for part in (a & b, a | b))
    return torch.where(union > 0, intersection / union.clamp(min=1), torch.ones_like(union))


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [...] in dB of images [..., 3, H, W] in [0, 1]; infinite where they are equal.

    Raises:
        ShapeError: when the shapes differ.
    """
    _check_shapes(images, truth)
    return -10 * (images - truth).square().mean(dim=(-3, -2, -1)).log10()


def structural_similarity(images: Tensor, truth: Tensor) -> Tensor:
    """SSIM [N] (Wang et al. 2004, Gaussian window of 1.5 pixels) of images [N, 3, H, W] in [0, 1].

    Raises:
        ShapeError: when the shapes differ.
    """
    _check_shapes(images, truth)
    values = [
        skimage_structural_similarity(
            a.numpy(),
            b.numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=_STRUCTURE_SIGMA,
            use_sample_covariance=False,
        )
        for a, b in zip(images.cpu().double(), truth.cpu().double(), strict=True)
    ]
    return torch.tensor(values)


@torch.no_grad()
def feature_distance(scorer: FeatureMaps, images: Tensor, truth: Tensor) -> Tensor:
    """Distance [N] of images [N, 3, H, W] in [0, 1] in the feature maps of the embedded scorer's image encoder.

    Made as LPIPS is without its calibration on human judgements (Zhang et al. 2018, Eq. 1 with equal weights):
    features of unit length at every place, squared distances, averaged over places and stages. It is no LPIPS:
    the network and so the scale of the numbers are this project's.

    Raises:
        ShapeError: when the shapes differ.
    """
    _check_shapes(images, truth)
    stages = []
    for a, b in zip(scorer.feature_maps(images), scorer.feature_maps(truth), strict=True):
        difference = F.normalize(a, dim=1) - F.normalize(b, dim=1)
        stages.append(difference.square().sum(dim=1).mean(dim=(1, 2)))
    return torch.stack(stages).mean(dim=0)


def _check_shapes(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ShapeError(
            f"What is compared must have one shape, got {list(first.shape)} and {list(second.shape)}."
        )
