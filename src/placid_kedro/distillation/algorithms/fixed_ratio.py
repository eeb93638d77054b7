"""Both guidances in a fixed ratio: what BSD is without its balance (the sweep of Fig. 10)."""

from placid_kedro.distillation.config import FixedRatio
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict


def fixed_ratio(config: FixedRatio, step: Step) -> Guidance:
    """w (ratio delta_CG + delta_SG)."""
    x_t, e = step.noised()
    p = predict(step, x_t)
    s = step.schedule.s(step.t).clamp_min(2**-12)
    w = config.weighting(step.schedule, step.t)
    gradient = w * (config.ratio * p.D / s + p.e_u / s)
    return Guidance(gradient, diagnose(step, p, config.ratio, e=e))
