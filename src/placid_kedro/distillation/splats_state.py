"""Everything that changes while Gaussians are distilled, and its way into a checkpoint and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from placid_kedro.curves import Curves
from placid_kedro.distillation.distiller import Distiller
from placid_kedro.distillation.film import Film
from placid_kedro.distillation.guard import GuidanceGuard
from placid_kedro.splats.densification import Densification

_ADAM_EPSILON = 1e-15


@dataclass
class SplatsState:
    """One distillation under way.

    Attributes:
        parameters: of the Gaussians, under gsplat's names; densification replaces its entries.
        optimizers: Adam for each of them.
        densification, distiller, guard: with what they have gathered.
        generator: draws everything random, on the CPU.
        film: the pictures that are kept.
        curves: the numbers that are kept of each step.
        step: the next one.
    """

    parameters: dict[str, nn.Parameter]
    optimizers: dict[str, torch.optim.Optimizer]
    densification: Densification
    distiller: Distiller
    guard: GuidanceGuard
    generator: torch.Generator
    film: Film
    curves: Curves
    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers, for `load_state_dict`."""
        lora = self.distiller.lora
        return {
            "step": self.step,
            "parameters": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "densification": self.densification.state_dict(),
            "lora": None if lora is None else lora.state_dict(),
            "guard": self.guard.counts,
            "generator": self.generator.get_state(),
            "film": self.film.images,
            "curves": self.curves.points,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of a distillation with the same inputs."""
        device = self.parameters["means"].device
        self.step = state["step"]
        self.parameters = {
            name: nn.Parameter(value.to(device)) for name, value in state["parameters"].items()
        }
        self.optimizers = optimizers_of(self.parameters)
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.densification.load_state_dict(state["densification"], device)
        if self.distiller.lora is not None:
            self.distiller.lora.load_state_dict(state["lora"])
        self.guard.counts = state["guard"]
        self.generator.set_state(state["generator"])
        self.film.images = state["film"]
        self.curves.points = state["curves"]


def optimizers_of(parameters: dict[str, nn.Parameter]) -> dict[str, torch.optim.Optimizer]:
    """Adam for each parameter, in one kernel a step on a GPU; the loop gives the rates."""
    return {
        name: torch.optim.Adam([parameter], lr=1.0, eps=_ADAM_EPSILON, fused=parameter.is_cuda)
        for name, parameter in parameters.items()
    }
