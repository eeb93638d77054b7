"""A latent text-to-image diffusion model: Stable Diffusion or the embedded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from placid_kedro.diffusion.autoencoding import decode
from placid_kedro.diffusion.guidance import guide
from placid_kedro.diffusion.loading import component_names, load_component
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_encoders import ClipTextEncoder, TextEncoder
from placid_kedro.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class TextToImage:
    """The parts of a text-to-image model.

    Attributes:
        unet: a diffusers `UNet2DConditionModel`.
        autoencoder: `AutoencoderKL` or one with its interface.
        text_encoder: prompts to context.
        scheduler: the DDIM scheduler of the model's noise levels.
        schedule: the same noise levels, as the house's code reads them.
        device: of the networks.
    """

    unet: Any
    autoencoder: Any
    text_encoder: TextEncoder
    scheduler: Any
    schedule: NoiseSchedule
    device: torch.device

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image's latents."""
        size = self.unet.config.sample_size
        return self.unet.config.in_channels, size, size

    @property
    def image_size(self) -> int:
        """Side of its images in pixels (all autoencoders here are f8)."""
        return 8 * int(self.unet.config.sample_size)

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Context [B, L, D] of prompts, on the model's device."""
        return self.text_encoder(prompts).to(self.device)


@lru_cache(maxsize=1)
def load_text_to_image(folder: Path, device: torch.device) -> TextToImage:
    """Load a model folder; the stages of one run share what is loaded.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    scheduler = DDIMScheduler.from_config(load_component(folder, "scheduler").config)
    text_encoder = load_component(folder, "text_encoder")
    if "tokenizer" in component_names(folder):
        text_encoder = ClipTextEncoder(load_component(folder, "tokenizer"), text_encoder.to(device))
    return TextToImage(
        unet=load_component(folder, "unet").to(device),
        autoencoder=load_component(folder, "vae").to(device),
        text_encoder=text_encoder,
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler),
        device=device,
    )


@torch.no_grad()
def sample_images(
    model: TextToImage,
    prompts: Sequence[str],
    *,
    steps: int,
    guidance_scale: float,
    generator: torch.Generator,
    progress: Progress = SILENT,
) -> Tensor:
    """Draw one image a prompt with DDIM.

    Args:
        model: the diffusion model.
        prompts: B texts.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        generator: draws the start noise, on the CPU.
        progress: shows the steps.

    Returns:
        [B, 3, H, W] in [0, 1].
    """
    latents = torch.randn(len(prompts), *model.latent_shape, generator=generator).to(model.device)
    context = torch.cat([model.embed([""] * len(prompts)), model.embed(prompts)])
    scheduler: Any = DDIMScheduler.from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    for t in progress.track(scheduler.timesteps, description="reference image"):
        output = model.unet(
            torch.cat([latents, latents]), t, encoder_hidden_states=context, return_dict=False
        )[0]
        latents = scheduler.step(guide(output, guidance_scale), t, latents, return_dict=False)[0]
    return decode(model.autoencoder, latents)
