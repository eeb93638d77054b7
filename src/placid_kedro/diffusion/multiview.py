"""What every model has that draws several views of one object together: Zero-1-to-3, the embedded one, MVDream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.guidance import guide
from placid_kedro.diffusion.networks import Autoencoder, Denoiser
from placid_kedro.diffusion.schedule import NoiseSchedule


@dataclass(frozen=True, eq=False)
class Subject:
    """The object that is to be seen; a model takes of it what it can read.

    Attributes:
        prompt: what it is, in words.
        reference: [3, H, W] in [0, 1], a picture of it over white; None where there is none.
        reference_camera: the one camera that the picture is assumed to be seen from.
    """

    prompt: str = ""
    reference: Tensor | None = None
    reference_camera: Cameras | None = None


class MultiviewModel(Protocol):
    """A latent diffusion model of N views of one object."""

    @property
    def unet(self) -> Denoiser:
        """A diffusers `UNet2DConditionModel`, so that a Latent-Plane finds its place in it."""

    @property
    def autoencoder(self) -> Autoencoder: ...

    @property
    def scheduler(self) -> Any:
        """DDIM of the model's noise levels."""

    @property
    def schedule(self) -> NoiseSchedule:
        """The same noise levels."""

    @property
    def image_size(self) -> int:
        """Side of its images in pixels."""

    @property
    def device(self) -> torch.device: ...

    def guided(self, subject: Subject, cameras: Cameras) -> GuidedViews:
        """Both guidance branches of the views of a subject.

        Raises:
            ParameterError: the subject lacks what this model reads, or there are not as many views as it draws.
            ShapeError: the reference has another size than the model's images.
        """


@dataclass(frozen=True, eq=False)
class GuidedViews:
    """Both guidance branches of N views, the unconditional one first.

    Attributes:
        model: draws them.
        context: [2 N, L, D] for the cross-attention.
        concatenated: [2 N, C', h, w] stands behind the noisy latents; None for nothing.
        extra: further keyword arguments of the UNet, [2 N, ...].
    """

    model: MultiviewModel
    context: Tensor
    concatenated: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def noise(self, generator: torch.Generator) -> Tensor:
        """What sampling starts from, [N, C, h, w]; drawn on the CPU."""
        config = self.model.unet.config
        shape = (len(self.context) // 2, config.out_channels, config.sample_size, config.sample_size)
        return torch.randn(shape, generator=generator).to(self.model.device)

    def predict(self, latents: Tensor, t: Tensor, guidance_scale: float) -> Tensor:
        """The guided output of the UNet [N, C, h, w]."""
        inputs = latents.repeat(2, 1, 1, 1)
        if self.concatenated is not None:
            inputs = torch.cat([inputs, self.concatenated], dim=1)
        output = self.model.unet(
            inputs, t, encoder_hidden_states=self.context, return_dict=False, **self.extra
        )[0]
        return guide(output, guidance_scale)

    def renoised(self, latents: Tensor, guidance_scale: float, generator: torch.Generator) -> Tensor:
        """The x0 seen in pure noise, noised again to the last timestep (the authors' first step)."""
        schedule = self.model.schedule
        t = torch.full((len(latents),), schedule.num_timesteps - 1, device=latents.device)
        x0 = schedule.to_x0(self.predict(latents, t[0], guidance_scale), latents, t)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        return schedule.add_noise(x0, noise, t)
