"""Score Distillation Sampling (Poole et al. 2023, DreamFusion, Eq. 3, with classifier-free guidance)."""

from placid_kedro.distillation.config import SDS
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict


def sds(config: SDS, step: Step) -> Guidance:
    """w (e_u + s D - e)."""
    x_t, e = step.noised()
    p = predict(step, x_t)
    w = config.weighting(step.schedule, step.t)
    gradient = w * (p.e_u + config.guidance_scale * p.D - e)
    return Guidance(gradient, diagnose(step, p, config.guidance_scale, e=e))
