"""Images to latents and back, for any autoencoder with the interface of diffusers' `AutoencoderKL`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from placid_kedro.device import to_device
from placid_kedro.diffusion.networks import Autoencoder


def pixels_per_latent(autoencoder: Autoencoder) -> int:
    """Side in pixels of what one latent pixel stands for: 8 for Stable Diffusion's and the embedded one."""
    config = autoencoder.config
    if "patch_size" in config:
        return int(config.patch_size)
    return int(2 ** (len(config.block_out_channels) - 1))


def encode(autoencoder: Autoencoder, images: Tensor, at_once: int | None = None) -> Tensor:
    """The mode of the latents of images [B, 3, H, W] in [0, 1], scaled as the UNet expects: [B, C, h, w].

    Differentiable by the images.

    Args:
        autoencoder: the encoder is its.
        images: what is encoded.
        at_once: so many images at a time, encoded again for their gradient, so that a backward pass keeps what belongs
            to so many only; None for all.
    """

    def modes(part: Tensor) -> tuple[Tensor, ...]:
        return (autoencoder.encode(part.to(autoencoder.dtype) * 2 - 1).latent_dist.mode(),)

    latents: Tensor = _in_parts(modes, images, at_once)[0] * autoencoder.config.scaling_factor
    return latents.to(images.dtype)


def encode_sample(
    autoencoder: Autoencoder, images: Tensor, generator: torch.Generator, at_once: int | None = None
) -> Tensor:
    """As `encode`, but a sample of the latents' distribution, drawn by the generator on its own device."""

    def moments(part: Tensor) -> tuple[Tensor, ...]:
        latents = autoencoder.encode(part.to(autoencoder.dtype) * 2 - 1).latent_dist
        return latents.mean, latents.std

    mean, deviation = _in_parts(moments, images, at_once)
    noise = torch.randn(mean.shape, generator=generator, device=generator.device)
    noise = to_device(noise, mean.device).to(mean.dtype)
    latents: Tensor = (mean + deviation * noise) * autoencoder.config.scaling_factor
    return latents.to(images.dtype)


def _in_parts(
    encoded: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, at_once: int | None
) -> tuple[Tensor, ...]:
    if at_once is None or at_once >= len(images):
        return encoded(images)
    parts = [checkpoint(encoded, part, use_reentrant=False) for part in images.split(at_once)]
    return tuple(torch.cat(same) for same in zip(*parts, strict=True))


def decode(autoencoder: Autoencoder, latents: Tensor) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] of scaled latents [B, C, h, w]."""
    scaled = latents.to(autoencoder.dtype) / autoencoder.config.scaling_factor
    images: Tensor = autoencoder.decode(scaled).sample
    return (images.to(latents.dtype) / 2 + 0.5).clamp(0, 1)
