"""Score distillation: every algorithm of the paper behind one interface.

    predictor = NoisePredictor(unet, NoiseSchedule.from_scheduler(scheduler))
    distiller = Distiller.create(config, predictor, generator)
    guard = GuidanceGuard()
    for step in range(steps):
        latents = encode(render(scene))
        t = timesteps(step / steps, len(latents), predictor.schedule, generator)
        guidance = distiller(latents, conditioning, t, generator, step / steps)
        loss = latent_loss(latents, guard.filtered(guidance.gradient))

The parameter types (`config`, `timesteps`, `weighting`) import no torch; the rest loads when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from placid_kedro.distillation.config import DistillationConfig
from placid_kedro.distillation.timesteps import TimestepSchedule
from placid_kedro.distillation.weighting import Weighting

if TYPE_CHECKING:
    from placid_kedro.distillation.balancing import balance
    from placid_kedro.distillation.distiller import Distiller
    from placid_kedro.distillation.guard import GuidanceGuard
    from placid_kedro.distillation.interface import Conditioning, Diagnostics, Guidance, latent_loss
    from placid_kedro.distillation.predictor import NoisePredictor
    from placid_kedro.distillation.views import PerpNegViews, ViewEmbeddings

__all__ = [
    "Conditioning",
    "Diagnostics",
    "DistillationConfig",
    "Distiller",
    "Guidance",
    "GuidanceGuard",
    "NoisePredictor",
    "PerpNegViews",
    "TimestepSchedule",
    "ViewEmbeddings",
    "Weighting",
    "balance",
    "latent_loss",
]

_LAZY = {
    "balancing": ["balance"],
    "distiller": ["Distiller"],
    "guard": ["GuidanceGuard"],
    "interface": ["Conditioning", "Diagnostics", "Guidance", "latent_loss"],
    "predictor": ["NoisePredictor"],
    "views": ["PerpNegViews", "ViewEmbeddings"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_LAZY)
