"""What a model draws while it is being trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.networks import Autoencoder, Denoiser
from placid_kedro.diffusion.novel_view import NovelView
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_to_image import TextToImage, sample_images
from placid_kedro.embedded.networks.conditioner import EmbeddedConditioner
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.training.config import NovelViewParameters, TextToImageParameters
from placid_kedro.embedded.training.export import embedded_scheduler
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.progress import Progress
from placid_kedro.training import Validation

_COLUMNS = 8
_SEED = 0


def text_to_image_samples(
    autoencoder: Autoencoder, parameters: TextToImageParameters, device: torch.device, progress: Progress
) -> Validation:
    """Draw the sample prompts, always from the same noise."""

    def validate(unet: Denoiser, step: int) -> dict[str, float]:
        scheduler = embedded_scheduler()
        model = TextToImage(
            unet=unet,
            autoencoder=autoencoder.to(device),
            text_encoder=MiniLMTextEncoder(),
            scheduler=scheduler,
            schedule=NoiseSchedule.from_scheduler(scheduler),
            device=device,
        )
        images = sample_images(
            model,
            parameters.sample_prompts,
            steps=parameters.sample_steps,
            guidance_scale=parameters.sample_guidance,
            generator=torch.Generator().manual_seed(_SEED),
        )
        progress.log_image(step, "text_to_image/samples", sheet(images.cpu()))
        return {}

    return validate


def novel_view_samples(
    autoencoder: Autoencoder,
    lifted: Any,
    truth: Tensor,
    cameras: Cameras,
    parameters: NovelViewParameters,
    device: torch.device,
    progress: Progress,
) -> Validation:
    """Draw views of objects from the first of their true views, and compare them with the others.

    Args:
        autoencoder: of the model.
        lifted: its lifted reference.
        truth: [N, M, 3, H, W] in [0, 1] true views of N objects.
        cameras: M views, the first is the reference's.
        parameters: of the model.
        device: where to.
        progress: receives the images, true and drawn ones in turn.
    """

    def validate(network: nn.ModuleDict, step: int) -> dict[str, float]:
        scheduler = embedded_scheduler()
        model = NovelView(
            unet=network["unet"],
            autoencoder=autoencoder.to(device),
            conditioner=EmbeddedConditioner(network["reference_tokens"], lifted),
            scheduler=scheduler,
            schedule=NoiseSchedule.from_scheduler(scheduler),
            image_size=truth.shape[-1],
            device=device,
        )
        generator = torch.Generator().manual_seed(_SEED)
        drawn = torch.stack(
            [
                sample_views(
                    model,
                    Subject(reference=views[0], reference_camera=cameras[0]),
                    cameras,
                    steps=parameters.sample_steps,
                    guidance_scale=parameters.sample_guidance,
                    generator=generator,
                ).images.cpu()
                for views in truth
            ]
        )
        rows = torch.stack([truth, drawn], dim=1).flatten(0, 2)
        progress.log_image(step, "novel_view/samples", sheet(rows, columns=truth.shape[1]))
        mean_square = (drawn[:, 1:] - truth[:, 1:]).square().mean(dim=(1, 2, 3, 4))
        return {"sample_psnr": float((-10 * mean_square.log10()).mean())}

    return validate


def sheet(images: Tensor, columns: int = _COLUMNS) -> Tensor:
    """Images [N, 3, H, W] in rows of `columns`, white where there is none left: [3, R * H, columns * W]."""
    columns = min(columns, len(images))
    missing = -len(images) % columns
    padded = torch.cat([images, torch.ones(missing, *images.shape[1:])])
    rows = padded.reshape(-1, columns, *images.shape[1:])
    return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
