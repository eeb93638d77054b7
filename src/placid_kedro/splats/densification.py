"""Growing and pruning Gaussians while they are optimised (Kerbl et al. 2023, Sec. 5), by gsplat's strategy.

gsplat's `DefaultStrategy` does the work on the CPU as on CUDA. Three things are added: an upper limit of the
number of Gaussians, a random generator of one's own for the split, and the reset of the opacities, which
gsplat 1.5.3 never reaches (its condition `step % every == 0 & step > 0` evaluates `0 & step` first).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import reset_opa
from torch import Tensor, nn
from torch.optim import Optimizer

from placid_kedro.errors import ParameterError
from placid_kedro.splats.config import DensificationConfig

Parameters = dict[str, nn.Parameter]
Optimizers = dict[str, Optimizer]


class Densification:
    """Changes the parameters in place, those of the optimisers with them, around each backward pass::

        densification = Densification(config, scene_extent, generator)
        for step in range(steps):
            views = render(Gaussians.from_parameters(parameters), cameras, background)
            densification.before_backward(views.meta)
            loss(views).backward()
            densification.after_backward(step, views.meta, parameters, optimizers)
            for optimizer in optimizers.values(): optimizer.step(); optimizer.zero_grad()

    Args:
        config: when and how much.
        scene_extent: length that `percent_dense` refers to, world units.
        generator: draws where the halves of a split Gaussian go (on the CPU).

    Raises:
        ParameterError: the extent is not positive.
    """

    def __init__(self, config: DensificationConfig, scene_extent: float, generator: torch.Generator) -> None:
        if not scene_extent > 0:
            raise ParameterError(f"scene_extent is {scene_extent}; give a positive length.")
        self._config = config
        self._generator = generator
        self._strategy = _LimitedStrategy(
            maximum=config.maximum,
            prune_opa=config.minimum_opacity,
            grow_grad2d=config.gradient,
            grow_scale3d=config.percent_dense,
            refine_start_iter=config.start,
            refine_stop_iter=config.stop,
            refine_every=config.every,
            reset_every=config.reset_every,
        )
        self._state: dict[str, Any] = self._strategy.initialize_state(scene_scale=scene_extent)

    def before_backward(self, meta: dict[str, Any]) -> None:
        """Ask for the gradient by the 2D means; meta comes from `rasterization`."""
        if meta["means2d"].requires_grad:
            meta["means2d"].retain_grad()

    def after_backward(
        self, step: int, meta: dict[str, Any], parameters: Parameters, optimizers: Optimizers
    ) -> None:
        """Note the gradients of this step and, at the configured ones, grow, prune and reset.

        Args:
            step: counts from 0.
            meta: of the rendering that was differentiated.
            parameters: under gsplat's names (`Gaussians.to_parameters`); its entries are replaced.
            optimizers: one for each parameter, under the same names; their states are cut and extended.

        Raises:
            ParameterError: parameters and optimisers do not have the same names.
        """
        if set(parameters) != set(optimizers):
            names = sorted(set(parameters) ^ set(optimizers))
            raise ParameterError(
                f"{names} are in one of parameters and optimizers only; give both the same names."
            )
        if step >= self._config.stop:
            return
        with _seeded(self._generator):
            self._strategy.step_post_backward(parameters, optimizers, self._state, step, meta, packed=False)
        if step > 0 and step % self._config.reset_every == 0:
            reset_opa(parameters, optimizers, self._state, value=2.0 * self._config.minimum_opacity)

    def state_dict(self) -> dict[str, Any]:
        """The gradients noted so far, for `load_state_dict`."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from a `state_dict`, on a device."""
        self._state = {
            name: value.to(device) if isinstance(value, Tensor) else value for name, value in state.items()
        }


class _LimitedStrategy(DefaultStrategy):
    """gsplat's strategy that lets no more Gaussians grow than `maximum` allows."""

    def __init__(self, maximum: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._maximum = maximum

    def _update_state(
        self, params: Parameters, state: dict[str, Any], info: dict[str, Any], packed: bool = False
    ) -> None:
        # gsplat gathers the Gaussians that are seen, which makes the host wait for their number in every step.
        gradients = info["means2d"].grad
        x, y = gradients[..., 0] * (info["width"] / 2), gradients[..., 1] * (info["height"] / 2)
        lengths = (torch.stack([x, y], dim=-1) * info["n_cameras"]).norm(dim=-1)
        is_seen = (info["radii"] > 0).all(dim=-1)
        for name in ("grad2d", "count"):
            if state[name] is None:
                state[name] = torch.zeros_like(lengths[0])
        for length, seen in zip(lengths, is_seen, strict=True):
            state["grad2d"] += torch.where(seen, length, 0.0)
            state["count"] += seen

    def _grow_gs(
        self, params: Parameters, optimizers: Optimizers, state: dict[str, Any], step: int
    ) -> tuple[int, int]:
        # A clone and a split each add one Gaussian.
        budget = max(self._maximum - len(params["means"]), 0)
        gradients = state["grad2d"] / state["count"].clamp_min(1)
        if int((gradients > self.grow_grad2d).sum()) > budget:
            state["grad2d"] = torch.where(_is_among_largest(gradients, budget), state["grad2d"], 0.0)
        return super()._grow_gs(params, optimizers, state, step)


def _is_among_largest(values: Tensor, count: int) -> Tensor:
    """[N] bool, true for exactly `count` of the largest values; of equal ones the first."""
    chosen = torch.zeros_like(values, dtype=torch.bool)
    chosen[torch.argsort(values, descending=True, stable=True)[:count]] = True
    return chosen


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """Inside, torch's global random numbers (gsplat draws them) follow the generator."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
