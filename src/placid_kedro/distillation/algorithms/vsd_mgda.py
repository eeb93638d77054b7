"""VSD with BSD's balance (Fig. 11): the LoRA copy's prediction is folded into the smoothing guidance."""

from placid_kedro.distillation.balancing import balance
from placid_kedro.distillation.config import VSDMGDA
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict
from placid_kedro.distillation.lora_copy import LoraCopy


def vsd_mgda(config: VSDMGDA, lora: LoraCopy, step: Step) -> Guidance:
    """w (alpha lam delta_CG + (1 - alpha) delta_SG) with delta_SG = (e_u - e_lora) / s_t.

    An untrained LoRA copy predicts e_c, so that delta_SG = -delta_CG: the first step's gradient is zero.
    """
    x_t, e = step.noised()
    p = predict(step, x_t)
    s = step.schedule.s(step.t).clamp_min(2**-12)
    delta_cg, delta_sg = p.D / s, (p.e_u - lora.predict(step, x_t)) / s
    alpha, direction = balance(delta_cg, delta_sg, config.lam)
    w = config.weighting(step.schedule, step.t)
    lora.train_step(step)
    cfg_equivalent = alpha * config.lam / (1 - alpha)
    return Guidance(w * direction, diagnose(step, p, cfg_equivalent, e=e, alpha=alpha, further_forwards=2))
