"""Interval Score Matching (Liang et al. 2024, LucidDreamer): noise by DDIM inversion of the render."""

import torch
from torch import Tensor

from placid_kedro.distillation.config import ISM
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict


def ism(config: ISM, step: Step) -> Guidance:
    """w (e_u(x_t) + s D(x_t) - e_u(x_s)), x_t being one DDIM inversion step from x_s."""
    annealed = min(step.progress / config.interval_until, 1.0)
    interval = round(config.interval_start + annealed * (config.interval_end - config.interval_start))
    s = (step.t - interval).clamp_min(0)
    x_s, evaluations = invert(config, step, s)
    e_s = step.unconditional_noise(x_s, s, torch.arange(len(s), device=s.device))
    x_t = _inversion_step(step, x_s, e_s, s, step.t)
    p = predict(step, x_t)
    w = config.weighting(step.schedule, step.t)
    gradient = w * (p.e_u + config.guidance_scale * p.D - e_s)
    return Guidance(gradient, diagnose(step, p, config.guidance_scale, further_forwards=evaluations + 1))


def invert(config: ISM, step: Step, s: Tensor) -> tuple[Tensor, float]:
    """The render taken to x_s [B,C,h,w], s [B], by DDIM inversion with the empty prompt.

    The render counts as x at timestep 0; each sample goes up in strides of its own, the last one shortened to
    end at s. Also returns the number of network evaluations, averaged over the samples.
    """
    stride = torch.clamp_min(torch.ceil(s / config.inversion_steps).long(), config.inversion_stride)
    current, x, evaluations = torch.zeros_like(s), step.latents.detach().clone(), 0
    for _ in range(config.inversion_steps):
        rows = torch.nonzero(current < s).flatten()
        if len(rows) == 0:
            break
        here, there = current[rows], torch.minimum(current[rows] + stride[rows], s[rows])
        e_u = step.unconditional_noise(x[rows], here, rows)
        x[rows] = _inversion_step(step, x[rows], e_u, here, there)
        current[rows] = there
        evaluations += len(rows)
    return x, evaluations / len(s)


def _inversion_step(step: Step, x: Tensor, e: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """DDIM without noise (Song et al. 2021, Eq. 12 with sigma 0), from timestep `here` to `there`."""
    x0 = step.schedule.x0_from_epsilon(e, x, here)
    return step.schedule.add_noise(x0, e, there)
