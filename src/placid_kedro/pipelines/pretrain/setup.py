"""What several nodes of `pretrain` derive from its parameters. Imported by nodes when they run."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from placid_kedro.config import PretrainParameters, RunParameters
from placid_kedro.files import digest_of
from placid_kedro.latent_plane.batches import check_ring
from placid_kedro.pipelines.loading import start
from placid_kedro.pretrain.copies import object_copies, reshaped_copies
from placid_kedro.pretrain.novel_view_batches import NovelViewSource
from placid_kedro.pretrain.plane_batches import PLANE_VIEWS
from placid_kedro.pretrain.split import CURATED, ObjectSplit, read_split
from placid_kedro.pretrain.views import ViewArrays
from placid_kedro.run_context import current_run
from placid_kedro.training import TrainingPlace, make_accelerator


def place_of(
    seed: int, run: RunParameters, parameters: PretrainParameters, precision: str | None = None
) -> TrainingPlace:
    """Device, precision, checkpoints and progress of a training."""
    device = start(run)
    accelerator = make_accelerator(precision or parameters.precision, cpu=device.type == "cpu")
    return TrainingPlace(accelerator, Path(parameters.checkpoints), seed, current_run().progress)


def split_of(parameters: PretrainParameters) -> ObjectSplit:
    """The curated objects."""
    return read_split(Path(parameters.objects) if parameters.objects else CURATED)


def vocabulary_rows(split: ObjectSplit) -> Tensor:
    """Where the vocabulary's objects stand among the trained ones."""
    return torch.tensor([row for row, one in enumerate(split.trained) if one.part == "vocabulary"])


def ring_of(parameters: PretrainParameters) -> int:
    """How many views the first ring has."""
    first = parameters.rendering.protocol.rings[0]
    check_ring(first.views, PLANE_VIEWS)
    return first.views


def novel_views_of(
    arrays: ViewArrays, reshaped: ViewArrays, latents: dict[str, Tensor], parameters: PretrainParameters
) -> NovelViewSource:
    """What the novel-view model learns from."""
    return NovelViewSource(
        copies=(
            *object_copies(arrays, [latents["latents"], *latents["copies"]]),
            *reshaped_copies(reshaped, latents["reshaped"], len(arrays)),
        ),
        favourites=vocabulary_rows(split_of(parameters)),
        ring=ring_of(parameters),
        focal=arrays.focal,
    )


def cores_of(parameters: PretrainParameters) -> int:
    """How many CPU cores render."""
    return parameters.rendering.cluster.workers or len(os.sched_getaffinity(0))


def data_id(arrays: ViewArrays, parameters: PretrainParameters, *others: str) -> str:
    """What latents are made of: the views and the autoencoder's linear part."""
    autoencoder = parameters.autoencoder
    return digest_of(arrays.digest, autoencoder.latent_channels, autoencoder.moment_every, *others)
