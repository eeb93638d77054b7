"""One callable for whichever algorithm the configuration names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

import torch
from torch import Tensor

from placid_kedro.distillation.algorithms.bsd import bsd
from placid_kedro.distillation.algorithms.csd import csd
from placid_kedro.distillation.algorithms.fixed_ratio import fixed_ratio
from placid_kedro.distillation.algorithms.ism import ism
from placid_kedro.distillation.algorithms.nfsd import nfsd
from placid_kedro.distillation.algorithms.sds import sds
from placid_kedro.distillation.algorithms.ssd import ssd
from placid_kedro.distillation.algorithms.vsd import vsd
from placid_kedro.distillation.algorithms.vsd_mgda import vsd_mgda
from placid_kedro.distillation.config import (
    BSD,
    CSD,
    ISM,
    NFSD,
    SDS,
    SSD,
    VSD,
    VSDMGDA,
    Algorithm,
    DistillationConfig,
    FixedRatio,
)
from placid_kedro.distillation.interface import Conditioning, Guidance, Step
from placid_kedro.distillation.lora_copy import LoraCopy
from placid_kedro.distillation.predictor import NoisePredictor


@dataclass(frozen=True, eq=False)
class Distiller:
    """An algorithm bound to its predictor; `lora` is the trained state of VSD and VSD + MGDA, else None."""

    algorithm: Algorithm
    predictor: NoisePredictor
    lora: LoraCopy | None

    @classmethod
    def create(
        cls,
        config: DistillationConfig | Algorithm,
        predictor: NoisePredictor,
        generator: torch.Generator,
    ) -> Distiller:
        """Bind the configured algorithm; the generator seeds the LoRA copy where the algorithm has one."""
        algorithm = config.root if isinstance(config, DistillationConfig) else config
        lora = None
        if isinstance(algorithm, VSD | VSDMGDA):
            lora = LoraCopy.create(predictor, algorithm.lora, generator)
        return cls(algorithm, predictor, lora)

    @torch.no_grad()
    def __call__(
        self,
        latents: Tensor,
        conditioning: Conditioning,
        t: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> Guidance:
        """The gradient with respect to latents [B,C,h,w] at timesteps t [B] (int64), and its diagnostics.

        progress: the share of the run that is done, in [0, 1]. Half precision latents are worked on in
        float32. No gradient flows through it; the predictor's weights and gradient flags stay as they
        are. Raises ShapeError and ParameterError as `Step` does.
        """
        wide = latents.dtype if latents.dtype == torch.float64 else torch.float32
        step = Step(latents.detach().to(wide), self.predictor, conditioning, t, generator, progress)
        guidance = self._guidance(step)
        return replace(guidance, gradient=guidance.gradient.to(latents.dtype))

    def _guidance(self, step: Step) -> Guidance:
        match self.algorithm:
            case SDS():
                return sds(self.algorithm, step)
            case CSD():
                return csd(self.algorithm, step)
            case ISM():
                return ism(self.algorithm, step)
            case SSD():
                return ssd(self.algorithm, step)
            case NFSD():
                return nfsd(self.algorithm, step)
            case BSD():
                return bsd(self.algorithm, step)
            case FixedRatio():
                return fixed_ratio(self.algorithm, step)
            case VSD():
                return vsd(self.algorithm, self._lora(), step)
            case VSDMGDA():
                return vsd_mgda(self.algorithm, self._lora(), step)
            case _:
                assert_never(self.algorithm)

    def _lora(self) -> LoraCopy:
        assert self.lora is not None, "Distiller.create makes the LoRA copy of VSD"
        return self.lora
