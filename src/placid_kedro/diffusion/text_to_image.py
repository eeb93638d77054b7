"""A latent text-to-image diffusion model: Stable Diffusion or the embedded one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from placid_kedro.diffusion.autoencoding import decode, pixels_per_latent
from placid_kedro.diffusion.guidance import guide
from placid_kedro.diffusion.loading import component_names, load_component
from placid_kedro.diffusion.networks import Autoencoder, Denoiser
from placid_kedro.diffusion.precision import Precision, narrow_autoencoder, narrow_unet
from placid_kedro.diffusion.sampling import load_ddim, sample_ddim
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

    unet: Denoiser
    autoencoder: Autoencoder
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
        """Side of its images in pixels."""
        return pixels_per_latent(self.autoencoder) * int(self.unet.config.sample_size)

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Context [B, L, D] of prompts, on the model's device."""
        return self.text_encoder(prompts).to(self.device)


@lru_cache(maxsize=1)
def load_text_to_image(folder: Path, device: torch.device, precision: Precision = "float32") -> TextToImage:
    """Load a model folder; the stages of one run share what is loaded.

    Args:
        folder: of the model.
        device: where it goes.
        precision: of the weights of UNet and autoencoder; the text encoder stays float32.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    scheduler = load_ddim(folder)
    return TextToImage(
        unet=narrow_unet(load_component(folder, "unet"), precision).to(device),
        autoencoder=narrow_autoencoder(load_component(folder, "vae"), precision).to(device),
        text_encoder=load_text_encoder(folder, device),
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler).to(device),
        device=device,
    )


@contextmanager
def text_to_image_on(
    folder: Path, device: torch.device, precision: Precision = "float32"
) -> Iterator[TextToImage]:
    """`load_text_to_image`, on a device for as long as the `with` block lasts; then its weights wait in the host's
    memory, and a GPU has room for the next stage's model."""
    model = load_text_to_image(folder, device, precision)
    networks = [model.unet, model.autoencoder]
    if isinstance(model.text_encoder, ClipTextEncoder):
        networks.append(model.text_encoder.network)
    for network in networks:
        network.to(device)
    try:
        yield model
    finally:
        if device.type == "cuda":
            for network in networks:
                network.to("cpu")
            torch.cuda.empty_cache()


def load_text_encoder(folder: Path, device: torch.device) -> TextEncoder:
    """The text encoder of a model folder; CLIP's comes with a tokenizer.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    encoder: Any = load_component(folder, "text_encoder")
    if "tokenizer" not in component_names(folder):
        own: TextEncoder = encoder
        return own
    return ClipTextEncoder(load_component(folder, "tokenizer"), encoder.to(device))


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

    Raises:
        ParameterError: for more steps than the model has timesteps.
    """
    noise = torch.randn(len(prompts), *model.latent_shape, generator=generator).to(model.device)
    return images_from_noise(
        model,
        prompts,
        noise,
        steps=steps,
        guidance_scale=guidance_scale,
        progress=progress,
        description="reference image",
    )


@torch.no_grad()
def images_from_noise(
    model: TextToImage,
    prompts: Sequence[str],
    noise: Tensor,
    *,
    steps: int,
    guidance_scale: float,
    progress: Progress = SILENT,
    description: str = "DDIM",
) -> Tensor:
    """`sample_images` from a given start, standard normal [B, C, h, w]; raises what it raises."""
    latents = latents_from_noise(
        model,
        prompts,
        noise,
        steps=steps,
        guidance_scale=guidance_scale,
        progress=progress,
        description=description,
    )
    return decode(model.autoencoder, latents)


@torch.no_grad()
def latents_from_noise(
    model: TextToImage,
    prompts: Sequence[str],
    noise: Tensor,
    *,
    steps: int,
    guidance_scale: float,
    progress: Progress = SILENT,
    description: str = "DDIM",
) -> Tensor:
    """The latents [B, C, h, w] of what `images_from_noise` draws; raises what it raises."""
    context = torch.cat([model.embed([""] * len(prompts)), model.embed(prompts)])

    def predict(latents: Tensor, t: Tensor, index: int) -> Tensor:
        both = torch.cat([latents, latents])
        output = model.unet(both, t, encoder_hidden_states=context, return_dict=False)[0]
        return guide(output, guidance_scale)

    return sample_ddim(
        model.scheduler, noise, predict, steps=steps, progress=progress, description=description
    )
