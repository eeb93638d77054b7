"""Posed views that hold Gaussians while they are distilled; not the paper's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.distillation.splats_config import AnchorParameters
from placid_kedro.errors import ParameterError
from placid_kedro.splats import Gaussians, TargetViews


@dataclass(frozen=True, eq=False)
class Anchor:
    """The views' error as a loss beside the guidance.

    Attributes:
        views: on the device of the Gaussians.
        parameters: how much they weigh.
    """

    views: TargetViews
    parameters: AnchorParameters

    @classmethod
    def of(
        cls, parameters: AnchorParameters | None, views: TargetViews | None, device: torch.device
    ) -> Anchor | None:
        """None without parameters; raises ParameterError where there are parameters and no views."""
        if parameters is None:
            return None
        if views is None:
            raise ParameterError(
                "bsd_3dgs.anchor holds the Gaussians to posed views; give views, or no anchor."
            )
        return cls(views.to(device), parameters)

    def loss(self, gaussians: Gaussians, generator: torch.Generator) -> Tensor:
        """Weighted error of the views that the generator, on the CPU, draws."""
        return self.parameters.weight * self.views.error(
            gaussians,
            count=self.parameters.views_per_step,
            silhouette_weight=self.parameters.silhouette_weight,
            generator=generator,
        )
