"""Deterministic DDIM sampling (Song et al. 2021), which every stage that draws images shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler
from torch import Tensor

from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.errors import ParameterError
from placid_kedro.finite import check_finite
from placid_kedro.progress import SILENT, Progress

# Latents [B, C, h, w], timestep and the step's index (0 is the noisiest) to the network's (guided) output.
Predict = Callable[[Tensor, Tensor, int], Tensor]


def load_ddim(folder: Path) -> Any:
    """DDIM at the noise levels of a model folder, whichever scheduler the folder itself names.

    Raises:
        ModelError: when the scheduler is missing, damaged or not of a discrete diffusion model.
    """
    scheduler = load_component(folder, "scheduler")
    NoiseSchedule.from_scheduler(scheduler)
    # Many configurations leave clipping out, and DDIM's default would clip latents as if they were pixels.
    return DDIMScheduler.from_config(scheduler.config, clip_sample=False)


def sample_ddim(
    scheduler: Any,
    noise: Tensor,
    predict: Predict,
    *,
    steps: int,
    progress: Progress = SILENT,
    description: str = "DDIM",
) -> Tensor:
    """Denoise latents [B, C, h, w] from pure noise.

    Args:
        scheduler: a `DDIMScheduler`; it stays as it is.
        noise: [B, C, h, w], standard normal.
        predict: the network's output, in the scheduler's parameterisation.
        steps: DDIM steps.
        progress: shows the steps.
        description: of the progress bar.

    Raises:
        ParameterError: for fewer steps than one or more than the model has timesteps.
        NumericError: the latents are not finite any more.
    """
    largest = scheduler.config.num_train_timesteps
    if not 1 <= steps <= largest:
        raise ParameterError(f"DDIM was asked for {steps} steps; this model takes 1 to {largest}.")
    own: Any = DDIMScheduler.from_config(scheduler.config)
    own.set_timesteps(steps)
    latents = noise
    for index, t in enumerate(progress.track(own.timesteps, description=description)):
        latents = own.step(predict(latents, t, index), t, latents, return_dict=False)[0]
        check_finite({"latents": latents}, f"Step {index} of {description}", "check the model's weights")
    return latents
