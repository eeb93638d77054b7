"""Each embedded model from data to trained network, on a generic training loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.embedded.networks.conditioner import EmbeddedConditioner
from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.networks.scorer import ImageScorer
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.training.autoencoder import ImageBatches, RepairObjective, patch_moment
from placid_kedro.embedded.training.batches import TextToImageBatches
from placid_kedro.embedded.training.caption_table import CaptionTable
from placid_kedro.embedded.training.colors import paintings
from placid_kedro.embedded.training.config import (
    AutoencoderParameters,
    DecoderParameters,
    NovelViewParameters,
    PlaneParameters,
    ScorerParameters,
    TextToImageParameters,
)
from placid_kedro.embedded.training.drawn import DrawnBatches, DrawnViews
from placid_kedro.embedded.training.export import embedded_scheduler
from placid_kedro.embedded.training.networks import (
    make_lifted_reference,
    make_novel_view,
    make_unet,
    prepare_for_cpu,
)
from placid_kedro.embedded.training.novel_view_batches import NovelViewSource
from placid_kedro.embedded.training.objectives import (
    LiftingObjective,
    NovelViewObjective,
    TextToImageObjective,
)
from placid_kedro.embedded.training.plane_batches import PlaneSource
from placid_kedro.embedded.training.scorer_training import ScorerBatches, ScorerObjective
from placid_kedro.embedded.training.split import CuratedObject
from placid_kedro.embedded.training.start import StartModels
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.files import digest_of
from placid_kedro.latent_plane import LatentPlane
from placid_kedro.latent_plane.training.assembly import PlaneTraining
from placid_kedro.progress import SILENT, Progress
from placid_kedro.training import BatchSource, Objective, TrainingContext, Validation, with_seed
from placid_kedro.training.config import LoopParameters

PATCH_SIZE = 8


def _train(
    place: TrainingContext,
    name: str,
    objective: Objective,
    batches: BatchSource,
    loop: LoopParameters,
    data_id: str,
    validate: Validation | None = None,
) -> None:
    """Train a whole network, which a CPU wants prepared."""
    if place.device.type == "cpu":
        prepare_for_cpu(objective.network)
    place.train(name, objective, batches, loop.settings(place.seed), data_id, validate)


def embedded_schedule() -> NoiseSchedule:
    """The noise levels of the embedded diffusion models."""
    return NoiseSchedule.from_scheduler(embedded_scheduler())


def make_autoencoder(
    views: ViewArrays, parameters: AutoencoderParameters, seed: int, progress: Progress = SILENT
) -> PatchAutoencoder:
    """The autoencoder with its linear part fitted; its repair network adds nothing yet."""
    autoencoder: PatchAutoencoder = with_seed(
        seed,
        lambda: PatchAutoencoder(
            parameters.latent_channels, PATCH_SIZE, parameters.widths, parameters.blocks
        ),
    )
    autoencoder.fit_components(patch_moment(views, PATCH_SIZE, parameters.moment_every, progress))
    return autoencoder.eval()


def train_repair(
    autoencoder: PatchAutoencoder,
    images: ImageBatches,
    parameters: AutoencoderParameters,
    place: TrainingContext,
) -> None:
    """Train the decoder's repair network in place."""
    data_id = digest_of(images.views.digest, parameters.model_dump(mode="json", exclude={"training"}))
    _train(
        place, "autoencoder", RepairObjective(autoencoder, parameters), images, parameters.training, data_id
    )


def train_decoder(
    autoencoder: PatchAutoencoder,
    images: ImageBatches,
    drawn: DrawnViews,
    parameters: DecoderParameters,
    errors: AutoencoderParameters,
    place: TrainingContext,
    data_id: str,
) -> None:
    """Train the repair network on, in place, with what the finished models draw.

    Args:
        autoencoder: its repair network learns.
        images: the other images that it learns from.
        drawn: by the models.
        parameters: of this training.
        errors: what is minimised.
        place: where to train.
        data_id: what the drawn views and the autoencoder are made of.
    """
    batches = DrawnBatches(images, drawn, parameters.share)
    fixed = digest_of(data_id, errors.model_dump(mode="json", exclude={"training"}), parameters.share)
    objective = RepairObjective(autoencoder, errors)
    _train(place, "decoder", objective, batches, parameters.training, fixed)


def train_text_to_image(
    latents: Tensor,
    painted: Tensor,
    azimuths_deg: Tensor,
    objects: Sequence[CuratedObject],
    parameters: TextToImageParameters,
    place: TrainingContext,
    data_id: str,
    validate: Validation | None = None,
    start: StartModels | None = None,
) -> Any:
    """A text-to-image UNet of the vocabulary.

    Args:
        latents: [N, V, C, h, w] of the vocabulary's objects.
        painted: [P, V, C, h, w] of their `colors.paintings`, see `copies.encode_painted`.
        azimuths_deg: [V].
        objects: N, with names and adjectives.
        parameters: of the model.
        place: where to train.
        data_id: what latents and captions are made of.
        validate: see `placid_kedro.training.train`.
        start: models that it goes on from.
    """
    table = CaptionTable.of(
        [(one.name, one.adjectives) for one in objects],
        [(index, word) for index, _, word in paintings(objects)],
    )
    contexts = embed_texts(table.texts(), place.progress)
    schedule = embedded_schedule()
    channels, size = latents.shape[2], latents.shape[-1]
    unet = with_seed(place.seed, lambda: make_unet(parameters.unet, channels, channels, size))
    if start is not None:
        start.load_into(unet, "text_to_image", "unet")
    batches = TextToImageBatches(
        torch.cat([latents.half(), painted]),
        azimuths_deg,
        table,
        contexts,
        schedule,
        parameters.shares,
        parameters.training.batch_size,
        place.device,
    )
    fixed = digest_of(data_id, parameters.shares.model_dump(mode="json"), list(table.by_caption.items()))
    objective = TextToImageObjective(unet, schedule)
    _train(place, "text_to_image", objective, batches, parameters.training, fixed, validate)
    return unet


def embed_texts(texts: Sequence[str], progress: Progress = SILENT, block: int = 128) -> Tensor:
    """[T, L, D] float16 contexts of many texts."""
    encoder = MiniLMTextEncoder()
    starts = range(0, len(texts), block)
    parts = [
        encoder(texts[start : start + block]).half()
        for start in progress.track(starts, description="captions")
    ]
    return torch.cat(parts)


def train_lifted_reference(
    views: NovelViewSource, parameters: NovelViewParameters, place: TrainingContext, data_id: str
) -> Any:
    """The `LiftedReference` that the novel-view model lifts its reference with."""
    channels, size = views.copies[0].latents.shape[2], views.copies[0].latents.shape[-1]
    lifted = parameters.lifted
    network = with_seed(place.seed, lambda: make_lifted_reference(lifted, channels, size, views.focal))
    weights = lifted.silhouette_weight, lifted.overlap_weight
    objective = LiftingObjective(network, *weights)
    batches = views.batches(parameters, lifted.training.batch_size, place.device)
    fixed = digest_of(data_id, _pairs(parameters), views.made_share, *weights)
    _train(place, "lifted_reference", objective, batches, lifted.training, fixed)
    return network


def train_novel_view(
    views: NovelViewSource,
    lifted: Any,
    parameters: NovelViewParameters,
    place: TrainingContext,
    data_id: str,
    validate: Validation | None = None,
    start: StartModels | None = None,
) -> nn.ModuleDict:
    """A novel-view model around a trained lifted reference: the parts `unet` and `reference_tokens`, and another one
    that only its training needs. It goes on from `start` where there is one."""
    channels, size = views.copies[0].latents.shape[2], views.copies[0].latents.shape[-1]
    lifted = lifted.to(place.device).eval().requires_grad_(False)

    network: nn.ModuleDict = with_seed(
        place.seed, lambda: make_novel_view(parameters.unet, channels, size, lifted.map_channels)
    )
    if start is not None:
        for part in ("unet", "reference_tokens"):
            start.load_into(network[part], "zero123", part)
    objective = NovelViewObjective(
        network, lifted, embedded_schedule(), parameters.shares.unconditional, parameters.decoder_weight
    )
    batches = views.batches(parameters, parameters.training.batch_size, place.device)
    fixed = digest_of(data_id, _pairs(parameters), views.made_share)
    _train(place, "novel_view", objective, batches, parameters.training, fixed, validate)
    return network


def _pairs(parameters: NovelViewParameters) -> dict[str, Any]:
    """What decides which views are learned from."""
    return parameters.model_dump(mode="json", include={"shares", "copies", "wanted_views", "decoder_weight"})


def train_latent_plane(
    source: PlaneSource,
    unet: Any,
    conditioner: EmbeddedConditioner,
    parameters: PlaneParameters,
    place: TrainingContext,
    data_id: str,
) -> LatentPlane:
    """A Latent-Plane for a frozen novel-view model: first its density, then its features.

    Args:
        source: of the views.
        unet, conditioner: of the novel-view model.
        parameters: of the plane.
        place: where to train.
        data_id: what the latents and the novel-view model are made of.
    """
    own = parameters.model_dump(mode="json", exclude={"density", "features"})
    return PlaneTraining(
        unet=unet.to(place.device),
        schedule=embedded_schedule(),
        cameras=source.cameras,
        objects=source.objects(conditioner, place.device),
        choose=partial(source.choose, parameters.vocabulary),
        parameters=parameters,
        place=place,
        data_id=digest_of(data_id, own, source.made_share),
    ).run()


def train_scorer(
    views: ViewArrays, objects: Sequence[CuratedObject], parameters: ScorerParameters, place: TrainingContext
) -> tuple[ImageScorer, tuple[str, ...]]:
    """A scorer of all trained objects, and the names that it knows."""
    scorer: ImageScorer = with_seed(
        place.seed, lambda: ImageScorer(views.size, parameters.channels, parameters.embedding)
    )
    batches = ScorerBatches(views, objects, parameters, parameters.training.batch_size, place.device)
    objective = ScorerObjective(scorer, parameters)
    fixed = digest_of(views.digest, batches.names, parameters.model_dump(mode="json", exclude={"training"}))
    _train(place, "scorer", objective, batches, parameters.training, fixed)
    return scorer, batches.names
