"""Images to latents and back, for any autoencoder with the interface of diffusers' `AutoencoderKL`."""

from __future__ import annotations

import torch
from torch import Tensor

from placid_kedro.diffusion.networks import Autoencoder


def pixels_per_latent(autoencoder: Autoencoder) -> int:
    """Side in pixels of what one latent pixel stands for: 8 for Stable Diffusion's and the embedded one."""
    config = autoencoder.config
    if "patch_size" in config:
        return int(config.patch_size)
    return int(2 ** (len(config.block_out_channels) - 1))


def encode(autoencoder: Autoencoder, images: Tensor) -> Tensor:
    """The mode of the latents of images [B, 3, H, W] in [0, 1], scaled as the UNet expects: [B, C, h, w].

    Differentiable by the images.
    """
    moments = autoencoder.encode(images.to(autoencoder.dtype) * 2 - 1).latent_dist
    latents: Tensor = moments.mode() * autoencoder.config.scaling_factor
    return latents.to(images.dtype)


def encode_sample(autoencoder: Autoencoder, images: Tensor, generator: torch.Generator) -> Tensor:
    """As `encode`, but a sample of the latents' distribution, drawn by the generator on its own device."""
    moments = autoencoder.encode(images.to(autoencoder.dtype) * 2 - 1).latent_dist
    noise = torch.randn(moments.mean.shape, generator=generator, device=generator.device).to(moments.mean)
    latents: Tensor = (moments.mean + moments.std * noise) * autoencoder.config.scaling_factor
    return latents.to(images.dtype)


def decode(autoencoder: Autoencoder, latents: Tensor) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] of scaled latents [B, C, h, w]."""
    scaled = latents.to(autoencoder.dtype) / autoencoder.config.scaling_factor
    images: Tensor = autoencoder.decode(scaled).sample
    return (images.to(latents.dtype) / 2 + 0.5).clamp(0, 1)
