"""Each embedded model from data to trained network, on a generic training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from placid_kedro.diffusion.patch_autoencoder import PatchAutoencoder
from placid_kedro.diffusion.reference_tokens import ReferenceTokens
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_encoders import MiniLMTextEncoder
from placid_kedro.evaluation.scorer import ImageScorer
from placid_kedro.latent_plane import LatentPlane, LatentPlaneAttachment
from placid_kedro.latent_plane.objectives import DensityObjective, FeatureObjective, PlaneObjective
from placid_kedro.latent_plane.plugin import decoder_block
from placid_kedro.pretrain.autoencoder import ImageBatches, RepairObjective, patch_moment
from placid_kedro.pretrain.batches import NovelViewBatches, TextToImageBatches
from placid_kedro.pretrain.caption_table import CaptionTable
from placid_kedro.pretrain.config import (
    AutoencoderParameters,
    LoopParameters,
    NovelViewParameters,
    PlaneParameters,
    ScorerParameters,
    TextToImageParameters,
)
from placid_kedro.pretrain.export import embedded_scheduler
from placid_kedro.pretrain.networks import make_unet, prepare_for_cpu
from placid_kedro.pretrain.objectives import NovelViewObjective, TextToImageObjective
from placid_kedro.pretrain.plane_batches import PlaneBatches, make_denoiser, plane_cameras
from placid_kedro.pretrain.scorer_training import ScorerBatches, ScorerObjective
from placid_kedro.pretrain.split import CuratedObject
from placid_kedro.pretrain.views import ViewArrays, digest_of
from placid_kedro.progress import SILENT, Progress
from placid_kedro.training import Validation, train

PATCH_SIZE = 8


@dataclass(frozen=True)
class TrainingPlace:
    """Where and how a training runs.

    Attributes:
        accelerator: of this process.
        checkpoints: folder of the checkpoints.
        seed: of everything random.
        progress: shows steps and receives losses and samples.
    """

    accelerator: Accelerator
    checkpoints: Path
    seed: int
    progress: Progress = SILENT

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.accelerator.device

    def train(
        self,
        name: str,
        objective: Any,
        batches: Callable[[int, torch.Generator], Any],
        parameters: LoopParameters,
        data_id: str,
        validate: Validation | None = None,
    ) -> None:
        """Train an objective's network; it ends on the CPU, averaged, in evaluation mode."""
        if self.device.type == "cpu" and not isinstance(objective, PlaneObjective):
            prepare_for_cpu(objective.network)
        objective.to(self.device)

        def log(values: dict[str, float], step: int) -> None:
            self.progress.log_metrics(step, {f"{name}/{key}": value for key, value in values.items()})

        train(
            objective,
            batches,
            parameters.settings(self.seed),
            self.accelerator,
            self.checkpoints / f"{name}.pt",
            data_id=data_id,
            log=log,
            validate=validate,
            progress=self.progress,
            description=name,
        )
        # Safetensors holds no other memory format.
        objective.network.to("cpu", memory_format=torch.contiguous_format).eval()


def embedded_schedule() -> NoiseSchedule:
    """The noise levels of the embedded diffusion models."""
    return NoiseSchedule.from_scheduler(embedded_scheduler())


def with_seed(seed: int, make: Callable[[], nn.Module]) -> Any:
    """A network whose start values depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def make_autoencoder(
    views: ViewArrays, parameters: AutoencoderParameters, seed: int, progress: Progress = SILENT
) -> PatchAutoencoder:
    """The autoencoder with its linear part fitted; its repair network adds nothing yet."""
    autoencoder: PatchAutoencoder = with_seed(
        seed,
        lambda: PatchAutoencoder(parameters.latent_channels, PATCH_SIZE, parameters.hidden_channels),
    )
    autoencoder.fit_components(patch_moment(views, PATCH_SIZE, parameters.moment_every, progress))
    return autoencoder.eval()


def train_repair(
    autoencoder: PatchAutoencoder, views: ViewArrays, parameters: AutoencoderParameters, place: TrainingPlace
) -> None:
    """Train the decoder's repair network in place."""
    objective = RepairObjective(autoencoder, parameters)
    batches = ImageBatches(views, parameters.training.batch_size, place.device)
    data_id = digest_of(views.digest, parameters.model_dump(mode="json", exclude={"training"}))
    place.train("autoencoder", objective, batches, parameters.training, data_id)


def train_text_to_image(
    latents: Tensor,
    azimuths_deg: Tensor,
    objects: Sequence[CuratedObject],
    parameters: TextToImageParameters,
    place: TrainingPlace,
    data_id: str,
    validate: Validation | None = None,
) -> Any:
    """A text-to-image UNet of the vocabulary.

    Args:
        latents: [N, V, C, h, w] of the vocabulary's objects.
        azimuths_deg: [V].
        objects: N, with names and adjectives.
        parameters: of the model.
        place: where to train.
        data_id: what latents and captions are made of.
        validate: see `placid_kedro.training.train`.
    """
    table = CaptionTable.of([(one.name, one.adjectives) for one in objects])
    contexts = embed_texts(table.texts(), place.progress)
    schedule = embedded_schedule()
    channels, size = latents.shape[2], latents.shape[-1]
    unet = with_seed(place.seed, lambda: make_unet(parameters.unet, channels, channels, size))
    batches = TextToImageBatches(
        latents,
        azimuths_deg,
        table,
        contexts,
        schedule,
        parameters.shares,
        parameters.training.batch_size,
        place.device,
    )
    fixed = digest_of(data_id, parameters.shares.model_dump(mode="json"), table.texts())
    objective = TextToImageObjective(unet, schedule)
    place.train("text_to_image", objective, batches, parameters.training, fixed, validate)
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


def train_novel_view(
    latents: Tensor,
    world_to_camera: Tensor,
    favourites: Tensor,
    ring: int,
    parameters: NovelViewParameters,
    place: TrainingPlace,
    data_id: str,
    validate: Validation | None = None,
) -> nn.ModuleDict:
    """A novel-view model, with the parts `unet` and `reference_tokens`; see `NovelViewBatches`."""
    channels, size = latents.shape[2], latents.shape[-1]
    width = parameters.unet.context_width

    def make() -> nn.ModuleDict:
        unet = make_unet(parameters.unet, 2 * channels, channels, size)
        return nn.ModuleDict({"unet": unet, "reference_tokens": ReferenceTokens(channels, size, width)})

    network: nn.ModuleDict = with_seed(place.seed, make)
    schedule = embedded_schedule()
    shares, batch_size = parameters.shares, parameters.training.batch_size
    batches = NovelViewBatches(latents, world_to_camera, favourites, ring, shares, batch_size, place.device)
    objective = NovelViewObjective(network, schedule, shares.unconditional)
    fixed = digest_of(data_id, shares.model_dump(mode="json"))
    place.train("novel_view", objective, batches, parameters.training, fixed, validate)
    return network


def train_latent_plane(
    views: ViewArrays,
    latents: Tensor,
    favourites: Tensor,
    ring: int,
    unet: Any,
    reference_tokens: Any,
    parameters: PlaneParameters,
    place: TrainingPlace,
    data_id: str,
) -> LatentPlane:
    """A Latent-Plane for a frozen novel-view model: first its density, then its features."""
    unet, reference_tokens = unet.to(place.device), reference_tokens.to(place.device)
    plane: LatentPlane = with_seed(place.seed, lambda: make_plane(unet, views, ring, parameters))
    stages = (
        ("density", DensityObjective, parameters.density),
        ("features", FeatureObjective, parameters.features),
    )
    silence_features(plane)
    for name, kind, loop in stages:
        batches = PlaneBatches(
            views, latents, favourites, ring, reference_tokens, parameters, loop.batch_size, place.device
        )
        attachment = LatentPlaneAttachment(unet, plane)
        objective = kind(plane, attachment, make_denoiser(unet), embedded_schedule())
        fixed = digest_of(data_id, parameters.model_dump(mode="json", exclude={"density", "features"}))
        place.train(f"latent_plane_{name}", objective, batches, loop, fixed)
    return plane


@torch.no_grad()
def silence_features(plane: LatentPlane) -> None:
    """Let the feature part's attention add nothing at first: its training then starts near the plain UNet."""
    for layer in plane.feature_transformer.stack:
        layer.to_out.weight.zero_()
        layer.to_out.bias.zero_()


def make_plane(unet: Any, views: ViewArrays, ring: int, parameters: PlaneParameters) -> LatentPlane:
    """A new Latent-Plane of the widths that a UNet needs."""
    return LatentPlane(
        feature_channels=unet.get_submodule(decoder_block(unet)).resnets[-1].out_channels,
        time_embedding_dim=unet.time_embedding.linear_2.out_features,
        cameras=plane_cameras(views, ring),
        token_channels=parameters.token_channels,
        num_octaves=parameters.octaves,
        num_heads=parameters.heads,
        density_head_dim=parameters.density_head_width,
        feature_head_dim=parameters.feature_head_width,
        samples_per_ray=parameters.samples_per_ray,
        weight_threshold=parameters.weight_threshold,
        share_layers=parameters.share_layers,
        combination=parameters.combination,
        missed_rays=parameters.missed_rays,
    )


def train_scorer(
    views: ViewArrays, objects: Sequence[CuratedObject], parameters: ScorerParameters, place: TrainingPlace
) -> tuple[ImageScorer, tuple[str, ...]]:
    """A scorer of all trained objects, and the names that it knows."""
    scorer: ImageScorer = with_seed(
        place.seed, lambda: ImageScorer(views.size, parameters.channels, parameters.embedding)
    )
    batches = ScorerBatches(views, objects, parameters, parameters.training.batch_size, place.device)
    objective = ScorerObjective(scorer, parameters)
    fixed = digest_of(views.digest, batches.names, parameters.model_dump(mode="json", exclude={"training"}))
    place.train("scorer", objective, batches, parameters.training, fixed)
    return scorer, batches.names
