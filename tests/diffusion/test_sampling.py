"""DDIM against denoisers whose answer is known in closed form."""

import pytest
import torch
from diffusers import DDIMScheduler, PNDMScheduler

from placid_kedro.diffusion.sampling import load_ddim, sample_ddim
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.embedded.training.export import embedded_scheduler
from placid_kedro.errors import ModelError, ParameterError


def exact_output(schedule: NoiseSchedule, x_t: torch.Tensor, t: torch.Tensor, mean: torch.Tensor, std: float):
    """What an optimal network for data N(mean, std^2) puts out, in the schedule's parameterisation."""
    a, s = schedule.a(t), schedule.s(t)
    x0 = mean + a * std**2 * (x_t - a * mean) / (a**2 * std**2 + s**2)
    e = s * (x_t - a * mean) / (a**2 * std**2 + s**2)
    return schedule.target(x0, e, t)


def sample(
    scheduler: DDIMScheduler, std: float, steps: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean, noise = torch.randn(2, 2, 4, 4, 4, generator=generator)
    schedule = NoiseSchedule.from_scheduler(scheduler)
    result = sample_ddim(
        scheduler, noise, lambda x_t, t, index: exact_output(schedule, x_t, t, mean, std), steps=steps
    )
    return result, mean, noise


# Where the steps do not divide the 1000 timesteps, diffusers' DDIM ends at the first level instead of at zero.
@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_single_image_is_found_in_any_number_of_steps(steps: int) -> None:
    result, mean, _ = sample(embedded_scheduler(), 0.0, steps)
    torch.testing.assert_close(result, mean, atol=1e-5, rtol=1e-5)


def test_gaussian_data_keep_the_quantile_of_their_noise() -> None:
    # The probability flow of a Gaussian moves each sample along its own quantile: x0 = mean + std z.
    result, mean, noise = sample(embedded_scheduler(), 0.5, 250)
    torch.testing.assert_close(result, mean + 0.5 * noise, atol=0.03, rtol=0)


def test_the_predictor_sees_falling_timesteps_and_their_index() -> None:
    seen: list[tuple[int, int]] = []

    def predict(x_t: torch.Tensor, t: torch.Tensor, index: int) -> torch.Tensor:
        seen.append((int(t), index))
        return torch.zeros_like(x_t)

    scheduler = embedded_scheduler()
    sample_ddim(scheduler, torch.zeros(1, 4, 2, 2), predict, steps=4)
    assert seen == [(999, 0), (749, 1), (499, 2), (249, 3)]
    assert scheduler.num_inference_steps is None


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_numbers_of_steps(steps: int) -> None:
    with pytest.raises(ParameterError, match=f"asked for {steps} steps; this model takes 1 to 1000"):
        sample_ddim(embedded_scheduler(), torch.zeros(1, 4, 2, 2), lambda x, t, i: x, steps=steps)


def test_latents_are_never_clipped(tmp_path, make_index) -> None:
    # PNDM's configuration says nothing about clipping, where DDIM's default is to clip to [-1, 1].
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.save_pretrained(tmp_path / "scheduler")
    make_index(tmp_path, scheduler=["diffusers", "PNDMScheduler"])
    ddim = load_ddim(tmp_path)
    torch.testing.assert_close(ddim.alphas_cumprod, scheduler.alphas_cumprod)
    result, mean, _ = sample(ddim, 0.0, 5)
    assert mean.abs().max() > 2
    # Stable Diffusion stops at its first noise level, which leaves 3 percent of the noise.
    torch.testing.assert_close(result, mean, atol=0.15, rtol=0)


def test_flow_matching_is_refused(tmp_path, make_index) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    FlowMatchEulerDiscreteScheduler().save_pretrained(tmp_path / "scheduler")
    make_index(tmp_path, scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"])
    with pytest.raises(ModelError, match="no alphas_cumprod"):
        load_ddim(tmp_path)
