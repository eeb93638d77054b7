"""Variational Score Distillation (Wang et al. 2023, ProlificDreamer, Algorithm 1)."""

from placid_kedro.distillation.config import VSD
from placid_kedro.distillation.interface import Guidance, Step, diagnose, predict
from placid_kedro.distillation.lora_copy import LoraCopy


def vsd(config: VSD, lora: LoraCopy, step: Step) -> Guidance:
    """w (e_u + s D - e_lora); then the LoRA copy makes one training step on the same latents."""
    x_t, e = step.noised()
    p = predict(step, x_t)
    e_lora = lora.predict(step, x_t)
    w = config.weighting(step.schedule, step.t)
    gradient = w * (p.e_u + config.guidance_scale * p.D - e_lora)
    lora.train_step(step)
    return Guidance(gradient, diagnose(step, p, config.guidance_scale, e=e, further_forwards=2))
