"""Distillation into splats that goes wrong, and the sentence it ends with."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from placid_kedro.distillation import DistillationConfig, GuidanceGuard
from placid_kedro.distillation.splats import distill
from placid_kedro.errors import GuidanceError, NumericError
from placid_kedro.splats import Gaussians
from tests.distillation.splats_case import PROMPTS, knowing_model, run, settings


def test_guidance_that_is_no_number_stops_the_run(ball: Gaussians, target: torch.Tensor) -> None:
    with pytest.raises(GuidanceError, match="not finite"):
        run(ball, torch.full_like(target, torch.nan), steps=40)


def broken_at(ball: Gaussians, target: torch.Tensor, broken: set[int], steps: int) -> GuidanceGuard:
    """Distil with a network that answers NaN in some of its steps; how much the guard counted."""
    model, network = knowing_model(target)

    class Faulty:
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor, **inputs: Any) -> Any:
            (answer,) = network(x_t, t, **inputs)
            return (answer * torch.nan if len(network.contexts) - 1 in broken else answer,)

    config = DistillationConfig.model_validate({"algorithm": "sds"})
    guard = GuidanceGuard(steps=steps)
    generator = torch.Generator().manual_seed(0)
    faulty = replace(model, unet=Faulty())
    result = distill(ball, faulty, PROMPTS, config, settings(steps=steps), generator=generator, guard=guard)
    assert all(bool(value.isfinite().all()) for value in vars(result).values())
    return guard


def test_a_few_bad_steps_are_counted_and_move_nothing(ball: Gaussians, target: torch.Tensor) -> None:
    guard = broken_at(ball, target, {3, 17}, steps=20)
    assert (guard.skipped, guard.skipped_steps) == (4, 2)


@pytest.mark.parametrize(("broken", "steps"), [(range(15), 15), (range(1, 20), 20), (range(0, 20, 2), 20)])
def test_many_bad_steps_stop_the_run_however_they_lie(
    ball: Gaussians, target: torch.Tensor, broken: range, steps: int
) -> None:
    with pytest.raises(GuidanceError, match=r"not finite.*more than 10% of the run"):
        broken_at(ball, target, set(broken), steps)


@pytest.mark.parametrize("name", ["guidance", "scale"])
def test_a_loss_that_overflows_is_one_sentence(ball: Gaussians, target: torch.Tensor, name: str) -> None:
    weights = {"guidance": 1.0, "colour_variation": 0.0, "depth_variation": 0.0, "scale": 0.0, name: 1e308}
    with pytest.raises(NumericError, match=f"step 0: 1 of the 1 values of '{name}' are not finite"):
        run(ball, target, steps=3, losses=weights)


def test_gaussians_that_run_away_are_one_sentence(ball: Gaussians, target: torch.Tensor) -> None:
    rates = settings().learning_rates.model_dump()
    rates["scale"] = {"start": 1e4, "end": 1e4}
    with pytest.raises(NumericError, match=r"not finite; lower the learning rates"):
        run(ball, target, steps=9, learning_rates=rates)


def test_the_last_gaussian_does_not_vanish_in_silence(ball: Gaussians, target: torch.Tensor) -> None:
    faint = replace(ball, logit_opacities=torch.full((300,), -4.0))
    densification = {"start": 0, "stop": 9, "every": 1, "minimum_opacity": 0.4, "gradient": 1e9}
    with pytest.raises(GuidanceError, match="last Gaussian became transparent"):
        run(faint, target, steps=4, densification=densification)
