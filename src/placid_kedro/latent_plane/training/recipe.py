"""A Latent-Plane for a frozen multi-view model, from nothing to trained: first its density, then its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.networks import Denoiser
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.files import digest_of
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.plugin import decoder_block, find_module
from placid_kedro.latent_plane.training.batches import make_denoiser
from placid_kedro.latent_plane.training.objectives import (
    PAPER_DENSITY,
    DensityLearning,
    DensityObjective,
    FeatureObjective,
)
from placid_kedro.training import BatchSource, TrainingContext, TrainingSettings, Validation, with_seed

StageName = Literal["density", "features"]


@dataclass(frozen=True)
class PlaneStage:
    """One of the two stages (Sec. 4.2, App. D).

    Attributes:
        name: which.
        batches: a batch (see `PlaneBatch`) for every number.
        settings: how to train.
        validate: see `placid_kedro.training.train`.
    """

    name: StageName
    batches: BatchSource
    settings: TrainingSettings
    validate: Validation | None = None


def make_plane(unet: Denoiser, cameras: Cameras, seed: int, **config: Any) -> LatentPlane:
    """A new Latent-Plane of the widths that a UNet needs, its feature part silent.

    Args:
        unet: see `LatentPlaneAttachment`.
        cameras: the N views.
        seed: of the start values.
        config: other arguments of `LatentPlane`.

    Raises:
        ModelError: the UNet has no such block to attach to.
    """
    block: Any = find_module(unet, config.get("block") or decoder_block(unet))
    time_embedding: Any = find_module(unet, "time_embedding")

    def make() -> LatentPlane:
        return LatentPlane(
            feature_channels=block.resnets[-1].out_channels,
            time_embedding_dim=time_embedding.linear_2.out_features,
            cameras=cameras,
            **config,
        )

    plane: LatentPlane = with_seed(seed, make)
    silence_features(plane)
    return plane


@torch.no_grad()
def silence_features(plane: LatentPlane) -> None:
    """Let the feature part's attention add nothing at first: its training then starts near the plain UNet."""
    for layer in plane.feature_transformer.stack:
        layer.to_out.weight.zero_()
        layer.to_out.bias.zero_()


def train_plane(
    plane: LatentPlane,
    unet: Denoiser,
    schedule: NoiseSchedule,
    stages: Sequence[PlaneStage],
    place: TrainingContext,
    data_id: str,
    density: DensityLearning = PAPER_DENSITY,
) -> None:
    """Train a plane in place, stage after stage; it ends on the CPU with averaged weights.

    A stage that was finished before is only read from its checkpoint; one that was cut goes on from there.

    Args:
        plane: see `make_plane`.
        unet: frozen, on the place's device.
        schedule: of that UNet.
        stages: in their order.
        place: where and how.
        data_id: what the batches are made of.
        density: how that stage learns.
    """
    for index, stage in enumerate(stages):
        parts = (plane, unet, make_denoiser(unet), schedule)
        objective = DensityObjective(*parts, density) if stage.name == "density" else FeatureObjective(*parts)
        # A stage builds on what those before it left.
        before = [
            {"stage": one.name, "steps": one.settings.steps, **one.settings.identity}
            for one in stages[:index]
        ]
        made_of = digest_of(data_id, asdict(density), before)
        name = f"latent_plane_{stage.name}"
        place.train(name, objective, stage.batches, stage.settings, made_of, stage.validate)
