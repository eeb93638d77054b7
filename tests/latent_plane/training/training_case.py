"""A stage small enough to train in a test; run as a script it is one process of `accelerate launch`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from placid_kedro.cameras import multiview_cameras, random_orbit
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.latent_plane import Extensions, LatentPlane
from placid_kedro.latent_plane.training.objectives import (
    DensityObjective,
    FeatureObjective,
    RaySupervision,
    sample_supervised_rays,
)
from placid_kedro.training import LearningRateSchedule, TrainingSettings, make_accelerator, train

VIEWS = 4
OBJECTS = 2


@dataclass(frozen=True)
class Batch:
    latents: torch.Tensor
    rays: RaySupervision
    silhouettes: torch.Tensor
    states: torch.Tensor


def make_batch(number: int, generator: torch.Generator, device: str = "cpu") -> Batch:
    """Spheres of random size: their silhouette and depth are known, and their size is in the latents."""
    latents, rays, silhouettes = [], [], []
    for _ in range(OBJECTS):
        radius = 0.2 + 0.25 * torch.rand(1, generator=generator)
        latents.append(torch.randn(VIEWS, 4, 8, 8, generator=generator) * 0.1 + radius * 8 - 2.6)
        cameras, _ = random_orbit(
            2,
            generator,
            elevation_range_deg=(-10.0, 40.0),
            distance_range=(1.5, 1.5),
            fov_range_deg=(49.1, 49.1),
            size=16,
        )
        origins, directions = cameras.rays()
        squared = directions.square().sum(-1)
        closest = -(origins * directions).sum(-1) / squared
        gap = (origins + closest[..., None] * directions).norm(dim=-1)
        mask = (gap < radius).float()
        depth = closest - ((radius**2 - gap**2).clamp(min=0) / squared).sqrt()
        rays.append(sample_supervised_rays(cameras, mask, depth, 96, generator))
        silhouettes.append(mask[0])
    merged = RaySupervision(*(torch.cat([getattr(r, name) for r in rays]) for name in vars(rays[0])))
    states = torch.zeros(OBJECTS * VIEWS, 1, 8, device=device)
    covered = torch.stack(silhouettes).to(device)
    return Batch(torch.stack(latents).to(device), merged.to(device), covered, states)


def make_objective(kind: type, device: str = "cpu"):
    torch.manual_seed(11)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        layers_per_block=1,
        norm_num_groups=4,
    )
    unet.eval().requires_grad_(False).to(device)
    plane = LatentPlane(
        16,
        32,
        multiview_cameras(azimuths_deg=[0, 90, 180, 270]),
        token_channels=8,
        num_heads=2,
        density_head_dim=4,
        feature_head_dim=4,
        samples_per_ray=8,
        extensions=Extensions(density_refinement=2, silhouette_factor=2),
    )

    def denoise(batch, noisy, timesteps):
        return unet(noisy, timesteps, batch.states).sample

    schedule = NoiseSchedule(torch.linspace(0.999, 0.2, 20))
    return kind(plane, unet, denoise, schedule)


def settings(steps: int, **changes) -> TrainingSettings:
    defaults = {
        "learning_rate": 3e-3,
        "schedule": LearningRateSchedule(warmup_steps=2),
        "checkpoint_every": 2,
        "validate_every": 100,
        "seed": 4,
    }
    return TrainingSettings(steps=steps, **{**defaults, **changes})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    accelerator = make_accelerator(cpu=True)
    assert accelerator.num_processes == 2, accelerator.state
    for kind in (DensityObjective, FeatureObjective):
        objective = make_objective(kind)
        train(objective, make_batch, settings(3), accelerator, folder / f"{kind.__name__}.pt")
        if accelerator.is_main_process:
            objective.plane.save_pretrained(folder / kind.__name__)
    accelerator.end_training()
