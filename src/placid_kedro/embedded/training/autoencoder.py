"""The patch autoencoder: its linear part in closed form, its decoder's repair by training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.training.config import AutoencoderParameters, ImageShares
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.progress import SILENT, Progress
from placid_kedro.training.loop import Objective

# A sample of an edge is darker than this.
_WHITE = 0.99
# Under the root, where the gradient would be unbounded.
_FLAT = 1e-4


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


@dataclass(frozen=True, eq=False)
class RepairBatch:
    """Images, and what the decoder is to make them of.

    Attributes:
        images: [B, 3, H, W] in [0, 1].
        drawn: [D, C, h, w] latents that a model drew of the first D of them, or None; the others are encoded.
    """

    images: Tensor
    drawn: Tensor | None = None


class RepairObjective(Objective):
    """What the decoder's repair network minimises: errors of decoded images and of their edges.

    The encoder and the linear decoder stay as they are. Part of the encoded latents carry noise, so that the repair
    also suits what a diffusion model puts out. Errors on the white around an object weigh less than those on it.

    Args:
        network: the autoencoder, its linear part fitted.
        parameters: strength and share of the noise, weights of the errors.
    """

    network: Any  # diffusers' base class has no types

    def __init__(self, network: PatchAutoencoder, parameters: AutoencoderParameters) -> None:
        super().__init__()
        self.network = network
        self.settings = parameters
        network.requires_grad_(False)
        network.repair.requires_grad_(True)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Of the repair network."""
        return list(self.network.repair.parameters())

    def forward(self, batch: RepairBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses; the PSNR is that of noisy and drawn latents as well."""
        given, targets = self.settings, batch.images * 2 - 1
        decoded = self.network.decode(self._latents(batch, generator)).sample.float()
        error = decoded - targets
        weight = torch.where(near_object(batch.images), 1.0, given.background_weight)
        loss = (weight * (error.square() + given.absolute_weight * error.abs())).mean()
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        sharpness = (local_sharpness(decoded) - local_sharpness(targets)).abs().mean()
        psnr = -10 * torch.log10(error.detach().square().mean() / 4)
        loss = loss + given.gradient_weight * edges + given.sharpness_weight * sharpness
        return {"loss": loss, "sharpness_error": sharpness.detach(), "psnr": psnr}

    def _latents(self, batch: RepairBatch, generator: torch.Generator) -> Tensor:
        """[B, C, h, w]: the drawn ones as they are, behind them encoded ones, part of them with noise."""
        own = batch.images[0 if batch.drawn is None else len(batch.drawn) :] * 2 - 1
        latents: Tensor = self.network.encode(own).latent_dist.mode()
        level, chance = torch.rand(2, len(own), generator=generator).to(latents)
        level = self.settings.latent_noise * level * (chance < self.settings.noisy_share)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        noisy = latents + level[:, None, None, None] * noise
        return noisy if batch.drawn is None else torch.cat([batch.drawn.to(latents), noisy])


def local_sharpness(images: Tensor) -> Tensor:
    """[B, 3, h, w] root mean square of how much neighbouring pixels of images [B, 3, H, W] differ, in windows of 8 x 8.

    The errors of pixels and edges are least for a blurred image where it is open by a pixel or two where an edge lies;
    the error of this is not: it does not ask where in its window an edge lies, and a blurred one has less of it. It is
    taken of means of 2 x 2 pixels, in which a fine chequer pattern, the cheapest way to it, is nothing.
    """
    images = F.avg_pool2d(images, 2, stride=1)
    squared = F.pad(images.diff(dim=-1).square(), (0, 1)) + F.pad(images.diff(dim=-2).square(), (0, 0, 0, 1))
    return (F.avg_pool2d(squared, 8, stride=4) + _FLAT).sqrt()


def near_object(images: Tensor) -> Tensor:
    """[B, 1, H, W] where images [B, 3, H, W] in [0, 1] are not white within two pixels."""
    seen = (images.amin(dim=1, keepdim=True) < _WHITE).float()
    return F.max_pool2d(seen, 5, stride=1, padding=2) > 0


class ImageBatches:
    """Images of all objects, those of the vocabulary more often.

    Args:
        views: of the trained objects.
        vocabulary_rows: indices of the vocabulary's objects.
        eighths: indices of the eight views that are drawn of a reference.
        shares: how often which image is drawn.
        batch_size: images a batch.
        device: where to.
    """

    def __init__(
        self,
        views: ViewArrays,
        vocabulary_rows: Tensor,
        eighths: Sequence[int],
        shares: ImageShares,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.views = views
        self.vocabulary_rows = vocabulary_rows
        self.eighths = torch.tensor(eighths)
        self.shares = shares
        self.batch_size = batch_size
        self.device = device

    def __call__(self, number: int, generator: torch.Generator) -> RepairBatch:
        return RepairBatch(self.some(self.batch_size, generator))

    def some(self, count: int, generator: torch.Generator) -> Tensor:
        """[count, 3, H, W] in [0, 1], on the device."""

        def pick(values: Tensor) -> Tensor:
            return values[torch.randint(len(values), (count,), generator=generator)]

        shares = self.shares
        known, eighth = torch.rand(2, count, generator=generator)
        every, every_view = torch.arange(len(self.views)), torch.arange(self.views.view_count)
        objects = torch.where(known < shares.vocabulary, pick(self.vocabulary_rows), pick(every))
        views = torch.where(eighth < shares.eighths, pick(self.eighths), pick(every_view))
        images = self.views.images(objects.numpy(), views.numpy())
        exchanged, mirrored = torch.rand(2, generator=generator).tolist()
        if exchanged < shares.exchanged:
            images = images[:, torch.randperm(3, generator=generator)]
        if mirrored < shares.mirrored:
            images = images.flip(-1)
        return images.to(self.device)
