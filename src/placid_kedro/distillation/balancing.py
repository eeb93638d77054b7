"""Eq. 20-23: the balance of classifier and smoothing guidance by two-objective multiple gradient descent."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from placid_kedro.errors import ParameterError, ShapeError


def balance(delta_cg: Tensor, delta_sg: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """The shortest vector between lam delta_CG and delta_SG, per sample over the whole latent.

    delta_cg, delta_sg: [B,...] of one floating dtype; lam > 0, finite.
    Returns
        alpha [B] in [0, 1], the minimiser of ||alpha lam delta_CG + (1 - alpha) delta_SG||^2 (Eq. 20, 23),
        in float32 (float64 for float64 guidances);
        direction [B,...] in the guidances' dtype, the vector itself (Eq. 22 without w). Its product with
        neither guidance is negative.

    Where both scaled guidances are equal every alpha gives the same direction, and alpha is 1/2. Where one is
    zero, so is the direction: nothing improves both. NaN or infinite guidances give NaN.

    Raises ParameterError for lam outside (0, inf), ShapeError for guidances of different shapes.
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
    # alpha stays the same when both are divided by one number; their squares then do not overflow or vanish.
    unit = torch.maximum(classifier.abs().amax(1), smoothing.abs().amax(1)).clamp_min(torch.finfo(dtype).tiny)
    difference = smoothing / unit[:, None] - classifier / unit[:, None]
    numerator = (difference * (smoothing / unit[:, None])).sum(1)
    denominator = difference.square().sum(1)
    alpha = torch.where(denominator == 0, 0.5, numerator / denominator).clamp(0, 1)
    direction = alpha[:, None] * classifier + (1 - alpha[:, None]) * smoothing
    return alpha, direction.reshape(delta_sg.shape).to(delta_sg.dtype)
