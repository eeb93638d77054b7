"""The weighting w(t) of distillation; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from placid_kedro.parameter_types import ParameterModel

if TYPE_CHECKING:
    from torch import Tensor

    from placid_kedro.diffusion.schedule import NoiseSchedule


class Weighting(ParameterModel):
    """w(t) = scale * a_t^signal_power * s_t^noise_power.

    DreamFusion's `1 - alphas_cumprod` is noise_power 2, ISM's `sqrt((1 - ac) / ac)` is powers -1 and 1, BSD's
    `a_t^2` is signal_power 2.
    """

    signal_power: float = 0.0
    noise_power: float = 0.0
    scale: float = 1.0

    def __call__(self, schedule: NoiseSchedule, t: Tensor) -> Tensor:
        """w(t) as [B,1,1,1] for t [B]; a_t and s_t are kept from 0 so that negative powers stay finite."""
        a, s = schedule.a(t).clamp_min(2**-12), schedule.s(t).clamp_min(2**-12)
        return self.scale * a**self.signal_power * s**self.noise_power
