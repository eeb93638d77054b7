"""Stable Score Distillation (Tang et al. 2023), as a mix of D and a variance-controlled part of e_c."""

import math

import torch

from placid_kedro.distillation.config import SSD
from placid_kedro.distillation.interface import Guidance, Step, diagnose, norm, predict


def ssd(config: SSD, step: Step) -> Guidance:
    """w D; for t <= last_projected instead e_c - r e with r = <e_c, e> / ||e||^2, at the norm of D."""
    x_t, e = step.noised()
    p = predict(step, x_t)
    r = (p.e_c * e).sum((1, 2, 3), keepdim=True) / e.square().sum((1, 2, 3), keepdim=True)
    unexplained = p.e_c - r * e
    rescaled = unexplained * (norm(p.D) / norm(unexplained).clamp_min(1e-12)).to(e.dtype)
    projected = (step.t <= config.last_projected).reshape(-1, 1, 1, 1)
    w = config.weighting(step.schedule, step.t)
    gradient = w * torch.where(projected, rescaled, p.D)
    return Guidance(gradient, diagnose(step, p, math.inf, e=e))
