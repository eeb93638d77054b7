"""Models that show an object from other sides: Zero-1-to-3 or the embedded one (Sec. 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.autoencoding import pixels_per_latent
from placid_kedro.diffusion.conditioning import ClipConditioner, ReferenceConditioner
from placid_kedro.diffusion.loading import component_names, load_component
from placid_kedro.diffusion.multiview import GuidedViews, Subject
from placid_kedro.diffusion.networks import Autoencoder, Denoiser
from placid_kedro.diffusion.precision import Precision, narrow_autoencoder, narrow_unet
from placid_kedro.diffusion.sampling import load_ddim
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.errors import ModelError, ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class NovelView:
    """The parts of a model that draws an object from another side.

    Attributes:
        unet: its input is the noisy latents with `ReferenceCondition.concatenated` behind them.
        autoencoder: as in `TextToImage`.
        conditioner: what the UNet is told of the reference.
        scheduler: DDIM of the model's noise levels.
        schedule: the same noise levels.
        image_size: side of its images in pixels.
        device: of the networks.
    """

    unet: Denoiser
    autoencoder: Autoencoder
    conditioner: ReferenceConditioner
    scheduler: Any
    schedule: NoiseSchedule
    image_size: int
    device: torch.device

    def guided(self, subject: Subject, cameras: Cameras) -> GuidedViews:
        """See `MultiviewModel.guided`; the unconditional branch's condition is zero."""
        if subject.reference is None or subject.reference_camera is None:
            raise ParameterError("A novel-view model draws from a picture and its camera; give it both.")
        images = subject.reference[None].to(self.device)
        poses = (one.world_to_camera.to(self.device) for one in (subject.reference_camera, cameras))
        condition = self.conditioner(images, self.reference_latents(images), *poses)
        context, concatenated = (
            torch.cat([torch.zeros_like(x), x]) for x in (condition.context, condition.concatenated)
        )
        return GuidedViews(self, context, concatenated)

    def reference_latents(self, reference: Tensor) -> Tensor:
        """Latents [B, C, h, w] that the conditioner is given, of images [B, 3, H, W] in [0, 1].

        They are the autoencoder's mode without its scaling factor, as Zero-1-to-3 was trained.
        """
        size = self.image_size
        if reference.shape[1:] != (3, size, size):
            raise ShapeError(f"The reference is {list(reference.shape[1:])}, expected [3, {size}, {size}].")
        moments = self.autoencoder.encode(reference.to(self.autoencoder.dtype) * 2 - 1).latent_dist
        latents: Tensor = moments.mode().to(reference.dtype)
        return latents


def load_novel_view(folder: Path, device: torch.device, precision: Precision = "float32") -> NovelView:
    """Load a model folder: the embedded model's, or Zero-1-to-3 in either conversion to the diffusers layout.

    Args:
        folder: of the model.
        device: where it goes.
        precision: of the weights of UNet and autoencoder; what reads the reference stays float32.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    scheduler = load_ddim(folder)
    unet = narrow_unet(load_component(folder, "unet"), precision).to(device)
    conditioner = _load_conditioner(folder, device)
    autoencoder = narrow_autoencoder(load_component(folder, "vae"), precision).to(device)
    return NovelView(
        unet=unet,
        autoencoder=autoencoder,
        conditioner=conditioner,
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler).to(device),
        image_size=unet.config.sample_size * pixels_per_latent(autoencoder),
        device=device,
    )


def _load_conditioner(folder: Path, device: torch.device) -> ReferenceConditioner:
    names = component_names(folder)
    if "reference_tokens" in names:
        tokens = load_component(folder, "reference_tokens").to(device)
        conditioner: ReferenceConditioner = (
            load_component(folder, "lifted_reference").to(device).conditioner(tokens)
        )
        return conditioner
    for projection in ("cc_projection", "clip_camera_projection"):
        if projection in names:
            return ClipConditioner(
                image_encoder=load_component(folder, "image_encoder").to(device),
                projection=load_component(folder, projection).to(device),
            )
    raise ModelError(
        f"{folder} is no novel-view model: it has neither reference_tokens nor cc_projection nor "
        "clip_camera_projection."
    )
