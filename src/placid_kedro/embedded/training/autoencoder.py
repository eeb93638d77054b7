"""The patch autoencoder: its linear part in closed form, its decoder's repair by training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.training.config import AutoencoderParameters
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.progress import SILENT, Progress
from placid_kedro.training.loop import Objective


@torch.no_grad()
def patch_moment(views: ViewArrays, patch_size: int, every: int, progress: Progress = SILENT) -> Tensor:
    """[D, D] float64 mean of p p^T over the patches p of `images - 1` (see `PatchAutoencoder.fit_components`).

    Args:
        views: of the trained objects.
        patch_size: side of a patch in pixels.
        every: each `every`-th view is read.
        progress: shows the bar.
    """
    dimension = 3 * patch_size**2
    total, count = torch.zeros(dimension, dimension, dtype=torch.float64), 0
    for index in progress.track(range(len(views)), description="patch statistics"):
        images = views.images(index, slice(None, None, every)) * 2 - 1
        patches = F.unfold(images - 1, patch_size, stride=patch_size).transpose(1, 2).reshape(-1, dimension)
        total += (patches.T @ patches).double()
        count += len(patches)
    return total / count


class RepairObjective(Objective):
    """What the decoder's repair network minimises: squared and some absolute error of decoded images.

    The encoder and the linear decoder stay as they are. Part of the latents carry noise, so that the repair also
    suits what a diffusion model puts out.

    Args:
        network: the autoencoder, its linear part fitted.
        parameters: strength and share of the noise, weight of the absolute error.
    """

    network: Any  # diffusers' base class has no types

    def __init__(self, network: PatchAutoencoder, parameters: AutoencoderParameters) -> None:
        super().__init__()
        self.network = network
        self.latent_noise = parameters.latent_noise
        self.noisy_share = parameters.noisy_share
        self.absolute_weight = parameters.absolute_weight
        network.requires_grad_(False)
        network.repair.requires_grad_(True)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Of the repair network."""
        return list(self.network.repair.parameters())

    def forward(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses on images [B, 3, H, W] in [0, 1]; the PSNR is that of the noisy latents."""
        images = batch * 2 - 1
        latents = self.network.encode(images).latent_dist.mode()
        level, chance = torch.rand(2, len(images), generator=generator).to(latents)
        level = self.latent_noise * level * (chance < self.noisy_share)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        decoded = self.network.decode(latents + level[:, None, None, None] * noise).sample.float()
        error = decoded - images
        squared = error.square().mean()
        psnr = -10 * torch.log10(squared.detach() / 4)
        return {"loss": squared + self.absolute_weight * error.abs().mean(), "psnr": psnr}


class ImageBatches:
    """Images drawn uniformly from all views of all objects.

    Args:
        views: of the trained objects.
        batch_size: images a batch.
        device: where to.
    """

    def __init__(self, views: ViewArrays, batch_size: int, device: torch.device) -> None:
        self.views = views
        self.batch_size = batch_size
        self.device = device

    def __call__(self, number: int, generator: torch.Generator) -> Tensor:
        objects = torch.randint(len(self.views), (self.batch_size,), generator=generator)
        views = torch.randint(self.views.view_count, (self.batch_size,), generator=generator)
        return self.views.images(objects.numpy(), views.numpy()).to(self.device)
