"""What the two diffusion models and the lifted reference minimise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.embedded.networks.conditioner import EmbeddedConditioner
from placid_kedro.evaluation.view_metrics import silhouette_iou
from placid_kedro.latent_plane import decoder_block
from placid_kedro.latent_plane.training.losses import soft_iou
from placid_kedro.randomness import device_generator
from placid_kedro.training.loop import Objective

# Of the signal-to-noise ratio, as the weight of the x0 error (after Hang et al. 2023, "Min-SNR").
_WEIGHT_BOUNDS = (0.4, 1.5)
_BANDS = {"error_high_noise": (0.8, 1.0), "error_middle_noise": (0.3, 0.6), "error_low_noise": (0.0, 0.2)}


def x0_losses(x0: Tensor, target: Tensor, t: Tensor, schedule: NoiseSchedule) -> dict[str, Tensor]:
    """The weighted squared error of predicted clean latents.

    Args:
        x0: [B, C, h, w] predicted.
        target: [B, C, h, w].
        t: [B] timesteps.
        schedule: their noise levels.

    Returns:
        "loss", and the plain error in three bands of noise (NaN where no timestep of the batch lies).
    """
    error = (x0 - target).square().mean(dim=(1, 2, 3))
    snr = (schedule.a(t) / schedule.s(t)).square().flatten()
    losses = {"loss": (error * snr.clamp(*_WEIGHT_BOUNDS)).mean()}
    share = t / schedule.num_timesteps
    for name, (low, high) in _BANDS.items():
        losses[name] = error.detach()[(share >= low) & (share < high)].mean()
    return losses


@dataclass(frozen=True)
class TextToImageBatch:
    """B noisy latents with their conditions.

    Attributes:
        x_t: [B, C, h, w].
        t: [B] int64.
        context: [B, L, D] of the captions.
        target: [B, C, h, w] what x0 is to be predicted as.
    """

    x_t: Tensor
    t: Tensor
    context: Tensor
    target: Tensor


class TextToImageObjective(Objective):
    """The x0 error of a text-to-image UNet against the targets of its batches.

    Args:
        network: the UNet.
        schedule: its noise levels and what it predicts.
    """

    def __init__(self, network: Any, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule

    def trained_parameters(self) -> list[nn.Parameter]:
        """All of the UNet's."""
        return list(self.network.parameters())

    def forward(self, batch: TextToImageBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses on one batch."""
        x_t = batch.x_t.contiguous(memory_format=torch.channels_last)
        output = self.network(x_t, batch.t, batch.context, return_dict=False)[0].float()
        x0 = self.schedule.to_x0(output, batch.x_t, batch.t)
        return x0_losses(x0, batch.target, batch.t, self.schedule)


@dataclass(frozen=True)
class NovelViewBatch:
    """K wanted views of each of B references.

    Attributes:
        latents: [B, K, C, h, w] of the wanted views.
        coverage: [B, K, h, w] how much of each latent's patch the object covers, in [0, 1].
        reference: [B, C, h, w] of the references.
        reference_cameras: [B, 4, 4] `world_to_camera`.
        cameras: [B, K, 4, 4] `world_to_camera` of the wanted views.
    """

    latents: Tensor
    coverage: Tensor
    reference: Tensor
    reference_cameras: Tensor
    cameras: Tensor


class LiftingObjective(Objective):
    """What a lifted reference tells of other views against those views: their latents and silhouettes.

    Args:
        network: a `LiftedReference`.
        silhouette_weight: of the cross-entropy of occupancy beside the squared error of latents.
        overlap_weight: of one minus the soft IoU of the silhouettes, view by view.
    """

    def __init__(self, network: Any, silhouette_weight: float, overlap_weight: float) -> None:
        super().__init__()
        self.network = network
        self.silhouette_weight = silhouette_weight
        self.overlap_weight = overlap_weight

    def trained_parameters(self) -> list[nn.Parameter]:
        """All of the network's."""
        return list(self.network.parameters())

    def forward(self, batch: NovelViewBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses on one batch, and the silhouettes' IoU at the latents' resolution."""
        views = self.network(batch.reference, batch.reference_cameras, batch.cameras)
        covered = batch.coverage.flatten(0, 1)
        # A margin from 0 and 1, where the cross-entropy's gradient is unbounded.
        occupancy = views.occupancy.clamp(1e-4, 1 - 1e-4)
        with torch.autocast(occupancy.device.type, enabled=False):
            silhouette = F.binary_cross_entropy(occupancy, covered)
            overlap = soft_iou(occupancy.flatten(1), covered.flatten(1)).mean()
        error = (views.latents - batch.latents.flatten(0, 1)).square().mean()
        return {
            "loss": error + self.silhouette_weight * silhouette + self.overlap_weight * (1 - overlap),
            "latent_error": error.detach(),
            "silhouette": silhouette.detach(),
            "silhouette_iou": silhouette_iou(occupancy.detach(), covered).mean(),
        }


class NovelViewObjective(Objective):
    """The diffusion loss of a novel-view model, in part without its condition.

    Args:
        network: with the parts `unet`, `reference_tokens` and `from_decoder` (`networks.make_decoder_map`).
        lifted: the lifted reference, trained before and frozen; neither saved nor synchronised.
        schedule: the UNet's noise levels and what it predicts.
        unconditional_share: how often the condition is zero, for guidance.
        decoder_weight: of the loss of the clean latents that `from_decoder` reads from the decoder block that
            Latent-Plane enhances (deep supervision, Lee et al. 2015); the map itself is not kept.
    """

    network: nn.ModuleDict

    def __init__(
        self,
        network: nn.ModuleDict,
        lifted: Any,
        schedule: NoiseSchedule,
        unconditional_share: float,
        decoder_weight: float,
    ) -> None:
        super().__init__()
        self.decoder_weight = decoder_weight
        self.network = network
        self.conditioner = EmbeddedConditioner(network["reference_tokens"], lifted)
        self.schedule = schedule
        self.unconditional_share = unconditional_share

    def trained_parameters(self) -> list[nn.Parameter]:
        """Of the UNet, of what it attends to, and of the map from its decoder."""
        return list(self.network.parameters())

    def forward(self, batch: NovelViewBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses on one batch; timesteps, noise and what is left out come from the generator."""
        clean = batch.latents.flatten(0, 1)
        count = len(clean)
        device = clean.device
        generator = device_generator(generator, device)
        t = torch.randint(self.schedule.num_timesteps, (count,), generator=generator, device=device)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        kept = torch.rand(count, generator=generator, device=device) >= self.unconditional_share
        kept = kept.to(clean)[:, None, None]
        x_t = self.schedule.add_noise(clean, noise, t)
        condition = self.conditioner.of_latents(batch.reference, batch.reference_cameras, batch.cameras)
        context = condition.context.float() * kept
        inputs = torch.cat([x_t, condition.concatenated.float() * kept[..., None]], dim=1)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        unet: Any = self.network["unet"]
        seen: list[Tensor] = []
        block = unet.get_submodule(decoder_block(unet))
        handle = block.register_forward_hook(lambda *call: seen.append(call[-1]))
        try:
            output = unet(inputs, t, context, return_dict=False)[0].float()
        finally:
            handle.remove()
        losses = x0_losses(self.schedule.to_x0(output, x_t, t), clean, t, self.schedule)
        decoder_loss = x0_losses(self.network["from_decoder"](seen[0]).float(), clean, t, self.schedule)[
            "loss"
        ]
        losses["loss"] = losses["loss"] + self.decoder_weight * decoder_loss
        losses["decoder_loss"] = decoder_loss.detach()
        return losses
