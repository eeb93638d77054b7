"""Balanced Score Distillation (Sec. 4.3, Eq. 16-23)."""

from dataclasses import replace

from torch import Tensor

from placid_kedro.distillation.balancing import balance
from placid_kedro.distillation.config import BSD
from placid_kedro.distillation.interface import Guidance, Predictions, Step, diagnose, norm, predict


def bsd(config: BSD, step: Step) -> Guidance:
    """w (alpha lam delta_CG + (1 - alpha) delta_SG), Eq. 22, with alpha from Eq. 23; presets as in `BSD`."""
    x_t, e = step.noised()
    p = predict(_with_preset_prompts(config, step), x_t)
    delta_cg, delta_sg, w = _guidances(config, step, p, e)
    alpha, direction = balance(delta_cg, delta_sg, config.lam)
    return Guidance(w * direction, diagnose(step, p, alpha * config.lam / (1 - alpha), e=e, alpha=alpha))


def _guidances(config: BSD, step: Step, p: Predictions, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """delta_CG, delta_SG and w of the preset; each lam is relative to them."""
    w = config.weighting(step.schedule, step.t)
    match config.preset:
        case "paper" | "sds_weighted":
            s = step.schedule.s(step.t).clamp_min(2**-12)
            return p.D / s, p.e_u / s, w
        case "official_3d" | "official_2d":
            return p.D, p.e_u, w
        case "auto":
            residual = p.e_u - e
            return p.D, residual, norm(residual).to(w.dtype) * w


def _with_preset_prompts(config: BSD, step: Step) -> Step:
    """official_3d takes the negative prompt for the empty one."""
    if config.preset != "official_3d":
        return step
    negative = step.conditioning.required_negative("BSD's preset official_3d")
    return replace(step, conditioning=replace(step.conditioning, unconditional=negative))
