"""What a Latent-Plane does on objects that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.plugin import LatentPlaneAttachment
from placid_kedro.latent_plane.presets import CallPlan, always_render, only_watch
from placid_kedro.latent_plane.training.batches import (
    PlaneBatch,
    PlaneObjects,
    RingViews,
    make_denoiser,
    no_rays,
    views_around,
)
from placid_kedro.latent_plane.training.losses import render_density
from placid_kedro.latent_plane.training.scores import at_size, score_density


@dataclass(frozen=True)
class ValidationSettings:
    """What is measured.

    Attributes:
        objects: at most so many, the first of them.
        noise_levels: shares of the model's timesteps in [0, 1) at which its features are taken.
        views: true views of each object, evenly taken from all, that the density is compared with.
        size: side of the compared silhouettes in pixels.
        features: whether the diffusion loss with and without the plane is measured as well.
        seed: of the noise.
    """

    objects: int
    noise_levels: Sequence[float]
    views: int
    size: int
    features: bool
    seed: int


class PlaneValidation:
    """A `placid_kedro.training.Validation`: always the same objects, views and noise.

    Args:
        objects: held out from the training.
        unet: frozen.
        schedule: of that UNet.
        settings: what is measured.
        device: of the UNet.
    """

    def __init__(
        self,
        objects: PlaneObjects,
        unet: Any,
        schedule: NoiseSchedule,
        settings: ValidationSettings,
        device: torch.device,
    ) -> None:
        self.objects = objects
        self.unet = unet
        self.schedule = schedule
        self.settings = settings
        self.device = device

    @torch.no_grad()
    def __call__(self, plane: LatentPlane, step: int) -> dict[str, float]:
        """Means over objects and noise levels.

        Returns:
            `validation/silhouette_iou`, `validation/foreground_depth_pearson` and `validation/depth_pearson` (see
            `DensityScores`), and, where they are measured, `validation/loss_without_plane`,
            `validation/loss_with_plane`.
        """
        rows = [
            self._measure(plane, index, level)
            for index in range(min(self.settings.objects, len(self.objects)))
            for level in self.settings.noise_levels
        ]
        return {f"validation/{name}": mean(row[name] for row in rows) for name in rows[0]}

    def _measure(self, plane: LatentPlane, index: int, level: float) -> dict[str, float]:
        around = views_around(self.objects.ring, len(plane.cameras))
        ring = self.objects.ring_views(index, around)
        batch = PlaneBatch.of([ring], [no_rays()], self.device)
        noisy, target, timesteps = self._diffuse(ring, index, level)
        denoise = make_denoiser(self.unet)
        with self._attached(plane, only_watch, batch) as attachment:
            plain = denoise(batch, noisy, timesteps)
        inputs = attachment.inputs
        assert inputs is not None
        count = self.objects.view_count(index)
        chosen = [view * count // self.settings.views for view in range(min(self.settings.views, count))]
        truth = self.objects.true_views(index, chosen)
        mask, depth = at_size(truth.masks, truth.depths, self.settings.size)
        cameras = truth.cameras.resized(self.settings.size, self.settings.size)
        render = render_density(plane, inputs[0], cameras)
        row = asdict(score_density(render, mask, depth))
        if self.settings.features:
            with self._attached(plane, always_render, batch):
                enhanced = denoise(batch, noisy, timesteps)
            row["loss_without_plane"] = float(F.mse_loss(plain.float(), target))
            row["loss_with_plane"] = float(F.mse_loss(enhanced.float(), target))
        return row

    def _attached(self, plane: LatentPlane, plan: CallPlan, batch: PlaneBatch) -> LatentPlaneAttachment:
        return LatentPlaneAttachment(self.unet, plane, plan, silhouette=batch.silhouettes)

    def _diffuse(self, ring: RingViews, index: int, level: float) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy latents, the target of the network's output, and timesteps; the same at every call."""
        t = round(level * (self.schedule.num_timesteps - 1))
        clean = ring.latents.to(self.device)
        timesteps = torch.full((len(clean),), t, device=self.device)
        seed = int(np.random.SeedSequence([self.settings.seed, index, t]).generate_state(1)[0])
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)).to(clean)
        noisy = self.schedule.add_noise(clean, noise, timesteps)
        return noisy, self.schedule.target(clean, noise, timesteps), timesteps
