"""What the two diffusion models minimise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from placid_kedro.diffusion.schedule import NoiseSchedule

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


class TextToImageObjective(nn.Module):
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
    """B views of objects, each with another view as its reference.

    Attributes:
        latents: [B, C, h, w] of the wanted views.
        reference: [B, C, h, w] of the references.
        poses: [B, 4] of the wanted view relative to the reference.
    """

    latents: Tensor
    reference: Tensor
    poses: Tensor


class NovelViewObjective(nn.Module):
    """The diffusion loss of a novel-view model, in part without its condition.

    Args:
        network: with the parts `unet` and `reference_tokens`.
        schedule: the UNet's noise levels and what it predicts.
        unconditional_share: how often reference and context are zero, for guidance.
    """

    def __init__(self, network: nn.ModuleDict, schedule: NoiseSchedule, unconditional_share: float) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.unconditional_share = unconditional_share

    def trained_parameters(self) -> list[nn.Parameter]:
        """Of the UNet and of what it attends to."""
        return list(self.network.parameters())

    def forward(self, batch: NovelViewBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses on one batch; timesteps, noise and what is left out come from the generator."""
        clean = batch.latents
        count = len(clean)
        t = torch.randint(self.schedule.num_timesteps, (count,), generator=generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        kept = (torch.rand(count, generator=generator) >= self.unconditional_share).to(clean)[:, None, None]
        x_t = self.schedule.add_noise(clean, noise, t)
        context = self.network["reference_tokens"](batch.reference, batch.poses).float() * kept
        inputs = torch.cat([x_t, batch.reference * kept[..., None]], dim=1)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        output = self.network["unet"](inputs, t, context, return_dict=False)[0].float()
        return x0_losses(self.schedule.to_x0(output, x_t, t), clean, t, self.schedule)
