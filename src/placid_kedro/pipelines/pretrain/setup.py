"""What several nodes of `pretrain` derive from its parameters. Imported by nodes when they run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from placid_kedro.app.run_context import current_run
from placid_kedro.config import PretrainParameters, RunParameters
from placid_kedro.embedded.training.autoencoder import ImageBatches
from placid_kedro.embedded.training.colors import paintings
from placid_kedro.embedded.training.copies import deformed_copies, made_copies, object_copies, painted_copy
from placid_kedro.embedded.training.drawn import DrawnViews, KnownViews
from placid_kedro.embedded.training.novel_view_batches import NovelViewSource
from placid_kedro.embedded.training.plane_batches import PLANE_VIEWS, PlaneSource, plane_cameras, ring_views
from placid_kedro.embedded.training.split import CURATED, ObjectSplit, read_split
from placid_kedro.embedded.training.start import StartModels
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.files import digest_of
from placid_kedro.latent_plane.training.batches import check_ring
from placid_kedro.pipelines.loading import start
from placid_kedro.training import TrainingContext, make_accelerator
from placid_kedro.training.config import LoopParameters


def place_of(
    seed: int, run: RunParameters, parameters: PretrainParameters, precision: str | None = None
) -> TrainingContext:
    """Device, precision, checkpoints and progress of a training."""
    device = start(run)
    accelerator = make_accelerator(precision or parameters.precision, cpu=device.type == "cpu")
    return TrainingContext(accelerator, Path(parameters.checkpoints), seed, current_run().progress)


def split_of(parameters: PretrainParameters) -> ObjectSplit:
    """The curated objects."""
    return read_split(Path(parameters.objects) if parameters.objects else CURATED)


def start_of(parameters: PretrainParameters) -> StartModels | None:
    """The models that the training goes on from."""
    return StartModels(Path(parameters.start)) if parameters.start else None


def vocabulary_rows(split: ObjectSplit) -> Tensor:
    """Where the vocabulary's objects stand among the trained ones."""
    return torch.tensor([row for row, one in enumerate(split.trained) if one.part == "vocabulary"])


def ring_of(parameters: PretrainParameters) -> int:
    """How many views the first ring has."""
    first = parameters.rendering.protocol.rings[0]
    check_ring(first.views, PLANE_VIEWS)
    return first.views


@dataclass(frozen=True, eq=False)
class AllViews:
    """The views that networks learn from.

    Attributes:
        objects: of the libraries' objects.
        deformed: of their copies with other proportions.
        made: of objects made by chance.
    """

    objects: ViewArrays
    deformed: ViewArrays
    made: ViewArrays

    @classmethod
    def open(cls, objects: Path, deformed: Path, made: Path) -> AllViews:
        """Open three folders of packed views."""
        return cls(*(ViewArrays.open(folder) for folder in (objects, deformed, made)))

    def data_id(self, parameters: PretrainParameters, *others: str) -> str:
        """What the latents of all of them are made of."""
        return data_id(self.objects, parameters, self.deformed.digest, self.made.digest, *others)


def novel_views_of(
    views: AllViews, latents: dict[str, Tensor], drawn: DrawnViews, parameters: PretrainParameters
) -> NovelViewSource:
    """What the novel-view model learns from."""
    arrays, split = views.objects, split_of(parameters)
    known = vocabulary_rows(split)
    painted = torch.tensor([index for index, _, _ in paintings(split.vocabulary)], dtype=torch.int64)
    return NovelViewSource(
        copies=(
            *object_copies(arrays, [latents["latents"], *latents["copies"]]),
            *deformed_copies(views.deformed, latents["deformed"], len(arrays)),
        ),
        made=made_copies(views.made, latents["made"]),
        made_share=parameters.made.share,
        painted=painted_copy(arrays, latents["painted"], known[painted]),
        drawn=drawn,
        vocabulary_rows=known,
        ring=ring_of(parameters),
        lower_ring=parameters.rendering.protocol.rings[-1].views,
        focal=arrays.focal,
    )


def plane_source_of(
    views: AllViews, latents: dict[str, Tensor], parameters: PretrainParameters
) -> PlaneSource:
    """What Latent-Plane learns from."""
    return PlaneSource(
        sets=((views.objects, latents["latents"]), (views.deformed, latents["deformed"][0])),
        made=(views.made, latents["made"][0]),
        made_share=parameters.made.share,
        vocabulary_rows=vocabulary_rows(split_of(parameters)),
        ring=ring_of(parameters),
    )


def images_of(
    views: ViewArrays, parameters: PretrainParameters, loop: LoopParameters, place: TrainingContext
) -> ImageBatches:
    """Images that the decoder learns from, in the batches of a training."""
    return ImageBatches(
        views,
        vocabulary_rows(split_of(parameters)),
        ring_views(ring_of(parameters)),
        parameters.autoencoder.shares,
        loop.batch_size,
        place.device,
    )


def known_views_of(
    views: ViewArrays, latents: dict[str, Tensor], parameters: PretrainParameters
) -> KnownViews:
    """The true views of the vocabulary."""
    split, ring = split_of(parameters), ring_of(parameters)
    rows = vocabulary_rows(split)
    return KnownViews(
        split.vocabulary, rows, latents["latents"][rows], ring_views(ring), plane_cameras(views, ring)
    )


def cores_of(parameters: PretrainParameters) -> int:
    """How many CPU cores render."""
    return parameters.rendering.cluster.workers or len(os.sched_getaffinity(0))


def data_id(arrays: ViewArrays, parameters: PretrainParameters, *others: str) -> str:
    """What latents are made of: the views and the autoencoder's linear part; and what networks begin with."""
    autoencoder, start = parameters.autoencoder, start_of(parameters)
    begun = () if start is None else (start.identity,)
    return digest_of(arrays.digest, autoencoder.latent_channels, autoencoder.moment_every, *begun, *others)
