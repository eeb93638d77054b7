"""Eq. 20-23: the balance of classifier and smoothing guidance by two-objective multiple gradient descent."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from placid_kedro.errors import ParameterError, ShapeError

# A direction shorter than this many units in the last place of its two terms is rounding: they cancel.
_ROUNDING = 32


def balance(delta_cg: Tensor, delta_sg: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """The shortest vector between lam delta_CG and delta_SG, per sample over the whole latent.

    Where both scaled guidances are equal every alpha gives the same direction, and alpha is 1/2. Where they
    are opposite, or one is zero, the direction is exactly zero: nothing improves both. NaN gives NaN.

    Args:
        delta_cg, delta_sg: [B, ...] of one floating dtype, classifier and smoothing guidance.
        lam: weight of the classifier guidance, above 0 and finite.

    Returns:
        alpha [B] in [0, 1], the minimiser of ||alpha lam delta_CG + (1 - alpha) delta_SG||^2 (Eq. 20, 23), in float32
        (float64 for float64 guidances); and the direction [B, ...] in the guidances' dtype, that vector itself (Eq. 22
        without w). Its product with neither guidance is negative.

    Raises:
        ParameterError: lam is not above 0 and finite.
        ShapeError: the guidances have different shapes.
    """
    if not (lam > 0 and math.isfinite(lam)):
        raise ParameterError(
            f"lam is {lam}, but the weight of the classifier guidance must be above 0 and finite."
        )
    if delta_cg.shape != delta_sg.shape or delta_cg.ndim == 0:
        raise ShapeError(
            f"delta_cg {list(delta_cg.shape)} and delta_sg {list(delta_sg.shape)} must share a shape [B,...]."
        )
    dtype = torch.float64 if delta_sg.dtype == torch.float64 else torch.float32
    classifier = lam * delta_cg.to(dtype).flatten(1)
    smoothing = delta_sg.to(dtype).flatten(1)
    # Dividing both by one number leaves alpha as it is and keeps the squares from overflowing or vanishing.
    unit = torch.maximum(classifier.abs().amax(1), smoothing.abs().amax(1)).clamp_min(torch.finfo(dtype).tiny)
    classifier, smoothing = classifier / unit[:, None], smoothing / unit[:, None]
    difference = smoothing - classifier
    squared = difference.square().sum(1)
    alpha = _share(difference * smoothing, squared)
    # 1 - alpha by the same formula with the roles exchanged: exact also where alpha is nearly 1.
    beta = _share(-difference * classifier, squared)
    direction = alpha[:, None] * classifier + beta[:, None] * smoothing
    terms = alpha * classifier.norm(dim=1) + beta * smoothing.norm(dim=1)
    vanishes = direction.norm(dim=1) <= _ROUNDING * torch.finfo(dtype).eps * terms
    direction = torch.where(vanishes[:, None], 0.0, direction) * unit[:, None]
    return alpha, direction.reshape(delta_sg.shape).to(delta_sg.dtype)


def _share(products: Tensor, squared: Tensor) -> Tensor:
    """The clipped quotient of Eq. 23, [B]; 1/2 where the denominator is 0."""
    return torch.where(squared == 0, 0.5, products.sum(1) / squared).clamp(0, 1)
