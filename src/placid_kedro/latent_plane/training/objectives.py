"""What the two stages of Latent-Plane's training minimise (Sec. 4.2, App. D)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.networks import HasParts
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.plugin import LatentPlaneAttachment
from placid_kedro.latent_plane.presets import CallPlan, always_render, only_watch
from placid_kedro.latent_plane.training.losses import (
    AS_THE_PLANE,
    EQUATION_10,
    DensityRender,
    DensityTerms,
    RaySampling,
    density_loss,
    render_rays,
)
from placid_kedro.training.loop import Objective


@dataclass(frozen=True)
class RaySupervision:
    """R rays through true images of each of B objects.

    Attributes:
        origins: [B, R, 3].
        directions: [B, R, 3], of unit depth (`Cameras.rays`).
        mask: [B, R] in [0, 1].
        depth: [B, R] planar; not read where the mask is 0.
    """

    origins: Tensor
    directions: Tensor
    mask: Tensor
    depth: Tensor

    def to(self, device: torch.device | str) -> RaySupervision:
        """The same rays on another device."""
        parts = (self.origins, self.directions, self.mask, self.depth)
        return RaySupervision(*(part.to(device) for part in parts))


def sample_supervised_rays(
    cameras: Cameras, masks: Tensor, depths: Tensor, count: int, generator: torch.Generator
) -> RaySupervision:
    """`count` rays through pixels drawn uniformly from one object's images, as a batch of one.

    Args:
        cameras: V views.
        masks: [V, H, W] in [0, 1].
        depths: [V, H, W] planar.
        count: rays to draw, with replacement.
        generator: on the CPU.
    """
    index = torch.randint(masks.numel(), (count,), generator=generator).to(masks.device)
    origins, directions = (part.reshape(-1, 3)[index] for part in cameras.to(masks.device).rays())
    parts = (origins, directions, masks.flatten()[index], depths.flatten()[index])
    return RaySupervision(*(part[None] for part in parts))


class TrainingBatch(Protocol):
    """What the objectives read of a batch; the denoiser may read more.

    Attributes:
        latents: [B, N, c, h, w] clean latents of the N views.
        rays: true masks and depths; only the density stage reads them.
        silhouettes: [B, h', w'] of the first view in [0, 1]; only a plane that reads it looks at it.
    """

    @property
    def latents(self) -> Tensor: ...

    @property
    def rays(self) -> RaySupervision: ...

    @property
    def silhouettes(self) -> Tensor: ...


# (batch, noisy latents [B * N, c, h, w], timesteps [B * N]) -> the frozen UNet's output [B * N, c, h, w].
Denoiser = Callable[[Any, Tensor, Tensor], Tensor]


def diffuse(
    latents: Tensor, schedule: NoiseSchedule, generator: torch.Generator, pure_noise_share: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Noise latents [B, N, c, h, w] at one uniform timestep an object.

    Args:
        latents: clean.
        schedule: of the network.
        generator: on the CPU.
        pure_noise_share: of the objects that are drawn at the last timestep instead.

    Returns:
        Noisy latents [B * N, c, h, w], the target of the network's output of that shape, timesteps [B * N].
    """
    timesteps = torch.randint(schedule.num_timesteps, (latents.shape[0],), generator=generator)
    if pure_noise_share:
        pure = torch.rand(len(timesteps), generator=generator) < pure_noise_share
        timesteps = timesteps.masked_fill(pure, schedule.num_timesteps - 1)
    timesteps = timesteps.repeat_interleave(latents.shape[1]).to(latents.device)
    clean = latents.flatten(0, 1)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    return schedule.add_noise(clean, noise, timesteps), schedule.target(clean, noise, timesteps), timesteps


@dataclass(frozen=True)
class DensityLearning:
    """How the density learns; the defaults are the paper's.

    Attributes:
        terms: of the loss beside the silhouettes' cross-entropy.
        pure_noise_share: of the objects that are drawn at the last timestep, where sampling begins and a
            `SamplingPolicy` may read the field; the others have a uniform one.
        sampling: of the density field along the supervised rays.
    """

    terms: DensityTerms = EQUATION_10
    pure_noise_share: float = 0.0
    sampling: RaySampling = AS_THE_PLANE


PAPER_DENSITY = DensityLearning()


class PlaneObjective(Objective):
    """A stage's loss. The UNet stays outside the module: it is frozen and neither saved nor synchronised.

    Args:
        plane: the Latent-Plane; only `trained(plane)` receives gradients.
        unet: frozen.
        denoise: calls that UNet.
        schedule: of that UNet.
    """

    network: LatentPlane

    def __init__(
        self,
        plane: LatentPlane,
        unet: HasParts,
        denoise: Denoiser,
        schedule: NoiseSchedule,
    ) -> None:
        super().__init__()
        self.network = plane
        # A plain reference: the UNet is none of the modules that are trained and saved.
        self._unet = (unet,)
        self.denoise = denoise
        self.schedule = schedule
        trained = {id(parameter) for parameter in self.trained_parameters()}
        for parameter in plane.parameters():
            parameter.requires_grad_(id(parameter) in trained)

    def attached(self, plan: CallPlan, batch: TrainingBatch) -> LatentPlaneAttachment:
        """The plane in the UNet for one batch."""
        return LatentPlaneAttachment(self._unet[0], self.plane, plan, silhouette=batch.silhouettes)

    @property
    def plane(self) -> LatentPlane:
        """The network that is trained."""
        return self.network


class DensityObjective(PlaneObjective):
    """Stage 1: Eq. 10 on rays of arbitrary cameras, from the features of noisy views.

    Args (beside `PlaneObjective`'s):
        learning: timesteps and terms of the loss.
    """

    def __init__(
        self,
        plane: LatentPlane,
        unet: HasParts,
        denoise: Denoiser,
        schedule: NoiseSchedule,
        learning: DensityLearning = PAPER_DENSITY,
    ) -> None:
        super().__init__(plane, unet, denoise, schedule)
        self.learning = learning

    def trained_parameters(self) -> list[nn.Parameter]:
        return self.plane.density_parameters()

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        share = self.learning.pure_noise_share
        noisy, _, timesteps = diffuse(batch.latents, self.schedule, generator, share)
        with torch.no_grad(), self.attached(only_watch, batch) as attachment:
            self.denoise(batch, noisy, timesteps)
        inputs = attachment.inputs
        assert inputs is not None
        rays = batch.rays
        renders = [
            render_rays(self.plane, *one, self.learning.sampling)
            for one in zip(inputs, rays.origins, rays.directions, strict=True)
        ]
        render = DensityRender(
            torch.stack([one.occupancy for one in renders]),
            torch.stack([one.depth for one in renders]),
            torch.stack([one.log_transmittance for one in renders]),
        )
        return density_loss(render, rays.mask, rays.depth, self.learning.terms)


class FeatureObjective(PlaneObjective):
    """Stage 2: the UNet's own diffusion loss with the plane in it."""

    def trained_parameters(self) -> list[nn.Parameter]:
        return self.plane.feature_parameters()

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        noisy, target, timesteps = diffuse(batch.latents, self.schedule, generator)
        with self.attached(always_render, batch):
            output = self.denoise(batch, noisy, timesteps)
        return {"loss": F.mse_loss(output.float(), target.float())}
