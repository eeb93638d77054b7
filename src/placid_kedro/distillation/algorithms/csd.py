"""Classifier Score Distillation (Yu et al. 2024): the classifier guidance alone."""

import math

from placid_kedro.distillation.config import CSD
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict


def csd(config: CSD, step: Step) -> Guidance:
    """w (D + n (e_u - e_neg)), where n falls linearly from negative_weight to 0 over the run."""
    x_t, e = step.noised()
    w = config.weighting(step.schedule, step.t)
    if config.negative_weight == 0:
        p = predict(step, x_t)
        return Guidance(w * p.D, diagnose(step, p, math.inf, e=e))
    p = predict(step, x_t, step.conditioning.required_negative("CSD's negative_weight"))
    (e_neg,) = p.others
    n = config.negative_weight * (1 - step.progress)
    return Guidance(w * (p.D + n * (p.e_u - e_neg)), diagnose(step, p, math.inf, e=e))
