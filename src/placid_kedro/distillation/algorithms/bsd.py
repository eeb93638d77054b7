"""Balanced Score Distillation (Sec. 4.3, Eq. 16-23)."""

from dataclasses import replace

from torch import Tensor

from placid_kedro.distillation.balancing import balance
from placid_kedro.distillation.config import BSD, EQUATION_WEIGHTINGS
from placid_kedro.distillation.interface import Guidance, Predictions, Step, diagnose, norm, predict

_LAM = {"paper": 25.0, "sds_weighted": 25.0, "official_3d": 15.0, "official_2d": 1 / 0.018, "auto": 0.8}


def bsd(config: BSD, step: Step) -> Guidance:
    """w (alpha lam delta_CG + (1 - alpha) delta_SG), Eq. 22, with alpha from Eq. 23; presets as in `BSD`."""
    lam = preset_lam(config)
    x_t, e = step.noised()
    p = predict(_with_preset_prompts(config, step), x_t)
    delta_cg, delta_sg, w = _guidances(config, step, p, e)
    alpha, direction = balance(delta_cg, delta_sg, lam)
    return Guidance(w * direction, diagnose(step, p, alpha * lam / (1 - alpha), e=e, alpha=alpha))


def preset_lam(config: BSD) -> float:
    """lam, or the preset's own where none is given."""
    return _LAM[config.preset] if config.lam is None else config.lam


def _guidances(config: BSD, step: Step, p: Predictions, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """delta_CG, delta_SG and w of the preset; each lam is relative to them."""
    a, s = step.schedule.a(step.t), step.schedule.s(step.t).clamp_min(2**-12)
    match config.preset:
        case "paper" | "sds_weighted" as preset:
            return p.D / s, p.e_u / s, EQUATION_WEIGHTINGS[preset](step.schedule, step.t)
        case "official_3d":
            return p.D, p.e_u, a
        case "official_2d":
            return p.D, p.e_u, 0.018 * a
        case "auto":
            residual = p.e_u - e
            return p.D, residual, 1.25 * norm(residual).to(s.dtype) * s / 50


def _with_preset_prompts(config: BSD, step: Step) -> Step:
    """official_3d takes the negative prompt for the empty one."""
    if config.preset != "official_3d":
        return step
    negative = step.conditioning.required_negative("BSD's preset official_3d")
    return replace(step, conditioning=replace(step.conditioning, unconditional=negative))
