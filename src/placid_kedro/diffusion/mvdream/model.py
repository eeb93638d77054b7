"""MVDream as a multi-view model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from placid_kedro.cameras import MULTIVIEW_DISTANCE, Cameras, mvdream_camera, ring
from placid_kedro.device import to_device
from placid_kedro.diffusion.autoencoding import pixels_per_latent
from placid_kedro.diffusion.config import MVDREAM_VIEWS
from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.multiview import GuidedViews, Subject
from placid_kedro.diffusion.mvdream.unet import MultiViewUNetModel
from placid_kedro.diffusion.networks import Autoencoder, Denoiser
from placid_kedro.diffusion.precision import Precision, narrow_autoencoder, narrow_unet
from placid_kedro.diffusion.sampling import load_ddim
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_encoders import TextEncoder
from placid_kedro.diffusion.text_to_image import load_text_encoder
from placid_kedro.errors import ModelError, ParameterError

_FIELD_OF_VIEW_DEG = 49.13


@dataclass(frozen=True, eq=False)
class MVDream:
    """The parts of an MVDream; see `placid_kedro.diffusion.multiview.MultiviewModel`.

    Attributes:
        unet: a `MultiViewUNetModel`.
        autoencoder, text_encoder, scheduler, schedule, device: as in `TextToImage`.
        image_size: side of its images in pixels.
    """

    unet: Denoiser
    autoencoder: Autoencoder
    text_encoder: TextEncoder
    scheduler: Any
    schedule: NoiseSchedule
    image_size: int
    device: torch.device

    def guided(self, subject: Subject, cameras: Cameras) -> GuidedViews:
        """See `MultiviewModel.guided`: from the prompt; both branches know the cameras, one has no text."""
        if len(cameras) != MVDREAM_VIEWS:
            raise ParameterError(
                f"MVDream draws {MVDREAM_VIEWS} views of an object together, not {len(cameras)}."
            )
        if not subject.prompt:
            raise ParameterError("MVDream draws from a prompt, and there is none; give it.")
        texts = self.text_encoder([""] * MVDREAM_VIEWS + [subject.prompt] * MVDREAM_VIEWS)
        numbers = mvdream_camera(cameras.world_to_camera).repeat(2, 1)
        return GuidedViews(
            self,
            to_device(texts, self.device),
            extra={"class_labels": to_device(numbers, self.device)},
        )


def four_views(elevation_deg: float, size: int) -> Cameras:
    """Front, left, back and right of an object, as images of `size` pixels; MVDream is not told of field of view and
    distance."""
    return ring(MVDREAM_VIEWS, elevation_deg, MULTIVIEW_DISTANCE, _FIELD_OF_VIEW_DEG, size)


def load_mvdream(folder: Path, device: torch.device, precision: Precision = "float32") -> MVDream:
    """Load a folder of the port of MVDream to diffusers.

    Args:
        folder: of the model.
        device: where it goes.
        precision: of the weights of UNet and autoencoder; the text encoder and the cameras' layers stay float32.

    Raises:
        ModelError: when a part is missing or damaged, or the folder is another model's.
    """
    scheduler = load_ddim(folder)
    unet = load_component(folder, "unet")
    _check_knows_cameras(folder, unet)
    narrow_unet(unet, precision)
    unet.class_embedding.float()
    autoencoder = narrow_autoencoder(load_component(folder, "vae"), precision).to(device)
    return MVDream(
        unet=unet.to(device),
        autoencoder=autoencoder,
        text_encoder=load_text_encoder(folder, device),
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler).to(device),
        image_size=unet.config.sample_size * pixels_per_latent(autoencoder),
        device=device,
    )


def _check_knows_cameras(folder: Path, unet: Any) -> None:
    if not isinstance(unet, MultiViewUNetModel):
        raise ModelError(
            f"{folder} is no MVDream: its UNet is a {type(unet).__name__}, which knows no cameras."
        )
