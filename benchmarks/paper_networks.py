"""The paper's networks in their real sizes, or shrunk, with random weights, made in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers import DDIMScheduler
from torch import Tensor

from placid_kedro.diffusion.autoencoding import pixels_per_latent
from placid_kedro.diffusion.conditioning import ClipConditioner
from placid_kedro.diffusion.novel_view import NovelView
from placid_kedro.diffusion.pose_projection import CCProjection
from placid_kedro.diffusion.precision import Precision, narrow_autoencoder, narrow_unet
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.distillation.splats_config import BsdParameters
from tools.model_folders import (
    NOISE_LEVELS,
    SHRUNK_21,
    SHRUNK_ZERO123,
    STABLE_DIFFUSION_21,
    ZERO123_XL,
    Sizes,
    make_autoencoder,
    make_image_encoder,
    make_unet,
)

CONF = Path(__file__).parents[1] / "conf"
TOKENS = 77


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        text_to_image, zero123: sizes of the networks.
        points: Gaussians of the distillation.
        image_size: of its images, pixels.
        sampling_steps: of the multi-view model.
    """

    text_to_image: Sizes = STABLE_DIFFUSION_21
    zero123: Sizes = ZERO123_XL
    points: int = 100_000
    image_size: int = 512
    sampling_steps: int = 50


SHRUNK = Scale(SHRUNK_21, SHRUNK_ZERO123, points=500, image_size=64, sampling_steps=4)


@dataclass(frozen=True)
class DrawnTexts:
    """Text states without a text encoder: it runs a few times a run."""

    width: int

    def __call__(self, prompts: Any) -> Tensor:
        generator = torch.Generator().manual_seed(len(prompts))
        return torch.randn(len(prompts), TOKENS, self.width, generator=generator)


def frozen(network: Any) -> Any:
    return network.eval().requires_grad_(False)


def text_to_image(sizes: Sizes, device: torch.device, precision: Precision) -> TextToImage:
    """As `load_text_to_image` gives it, with random weights."""
    scheduler = DDIMScheduler(clip_sample=False, **NOISE_LEVELS)
    with device:
        unet, autoencoder = frozen(make_unet(sizes.unet)), frozen(make_autoencoder(sizes.autoencoder))
    return TextToImage(
        unet=narrow_unet(unet, precision),
        autoencoder=narrow_autoencoder(autoencoder, precision),
        text_encoder=DrawnTexts(sizes.unet["cross_attention_dim"]),
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler).to(device),
        device=device,
    )


def novel_view(sizes: Sizes, device: torch.device, precision: Precision) -> NovelView:
    """As `load_novel_view` gives it, with random weights."""
    scheduler = DDIMScheduler(clip_sample=False, **NOISE_LEVELS)
    with device:
        unet = frozen(make_unet(sizes.unet, in_channels=8))
        autoencoder = frozen(make_autoencoder(sizes.autoencoder))
        conditioner = ClipConditioner(frozen(make_image_encoder(sizes)), frozen(CCProjection()))
    return NovelView(
        unet=narrow_unet(unet, precision),
        autoencoder=narrow_autoencoder(autoencoder, precision),
        conditioner=conditioner,
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler).to(device),
        image_size=sizes.unet["sample_size"] * pixels_per_latent(autoencoder),
        device=device,
    )


def paper_settings(scale: Scale, steps: int, encoded_at_once: int | None) -> BsdParameters:
    """`bsd_3dgs` of `--env paper`, for fewer steps."""
    base = yaml.safe_load((CONF / "base/parameters_bsd_3dgs.yml").read_text())["bsd_3dgs"]
    paper = yaml.safe_load((CONF / "paper/parameters_stages.yml").read_text())["bsd_3dgs"]
    changed = {"steps": steps, "image_size": scale.image_size, "encoded_at_once": encoded_at_once}
    few_pictures = {"image_every": 0, "film": {**base["film"], "moments": 2}}
    return BsdParameters.model_validate({**base, **paper, **changed, **few_pictures})
