"""Noise-Free Score Distillation (Katzir et al. 2024)."""

import torch

from placid_kedro.distillation.config import NFSD
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict


def nfsd(config: NFSD, step: Step) -> Guidance:
    """w (d_D + s D), with d_D = e_u for t < first_negative, else e_u - e_neg."""
    x_t, e = step.noised()
    p = predict(step, x_t, step.conditioning.required_negative("NFSD"))
    (e_neg,) = p.others
    below = (step.t < config.first_negative).reshape(-1, 1, 1, 1)
    d_D = torch.where(below, p.e_u, p.e_u - e_neg)
    w = config.weighting(step.schedule, step.t)
    gradient = w * (d_D + config.guidance_scale * p.D)
    return Guidance(gradient, diagnose(step, p, config.guidance_scale, e=e))
