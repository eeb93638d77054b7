"""What a pretraining will cost, told before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from placid_kedro.cameras import multiview_cameras
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.embedded.training.config import PretrainParameters
from placid_kedro.embedded.training.networks import (
    make_lifted_reference,
    make_novel_view,
    make_unet,
    prepare_for_cpu,
)
from placid_kedro.embedded.training.objectives import (
    LiftingObjective,
    NovelViewBatch,
    NovelViewObjective,
    TextToImageBatch,
    TextToImageObjective,
)
from placid_kedro.embedded.training.recipes import PATCH_SIZE, embedded_schedule
from placid_kedro.training import Objective, TrainingContext
from placid_kedro.training.config import LoopParameters
from placid_kedro.training.optimizers import make_optimizer

# Core seconds to render and pack one object, 32 views at 128 px, 2 x 2 rays a pixel; measured on one core.
_RENDER_SECONDS = 1.1
_REFERENCE_RAYS = 32 * 128**2 * 4
_CONTEXT_TOKENS = 24


class StageCost(BaseModel):
    """One stage of the pipeline.

    Attributes:
        stage: its name.
        steps, samples: of its training; 0 where nothing is trained.
        hours: expected on this machine; None where it was not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    steps: int
    samples: int
    hours: float | None


class PretrainPlan(BaseModel):
    """What a run of `pretrain` is about to do.

    Attributes:
        objects: that networks are trained on.
        vocabulary: of these, the ones that the text-to-image model knows by name.
        held_out: objects that no network sees.
        made: objects made by chance.
        disk_mb: of the arrays of views and latents.
        machine: what the hours were estimated on.
        stages: in their order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: int
    vocabulary: int
    held_out: int
    made: int
    disk_mb: float
    machine: str
    stages: tuple[StageCost, ...]

    def lines(self) -> list[str]:
        """The plan for a reader."""
        head = (
            f"pretrain: {self.objects} objects ({self.vocabulary} in the vocabulary, {self.held_out} held out) "
            f"and {self.made} made by chance, {self.disk_mb:.0f} MB of views and latents, on {self.machine}"
        )
        rows = []
        for cost in self.stages:
            work = f"{cost.steps} steps, {cost.samples} samples" if cost.steps else "no training"
            hours = "not measured" if cost.hours is None else f"about {_duration(cost.hours)}"
            rows.append(f"  {cost.stage}: {work}, {hours}")
        total = sum(cost.hours or 0.0 for cost in self.stages)
        return [
            head,
            *rows,
            f"  together at least {_duration(total)}; an interrupted run goes on where it was",
        ]


def make_plan(
    parameters: PretrainParameters,
    objects: int,
    vocabulary: int,
    held_out: int,
    place: TrainingContext,
    cores: int,
) -> PretrainPlan:
    """Time a step of each of the large trainings here, and add up.

    Args:
        parameters: of the pipeline.
        objects, vocabulary, held_out: see `PretrainPlan`.
        place: where the trainings will run; its checkpoints are not touched.
        cores: that render.
    """
    protocol = parameters.rendering.protocol
    views, pixels = protocol.view_count, protocol.size**2
    latents = parameters.autoencoder.latent_channels * pixels // PATCH_SIZE**2
    others = parameters.novel_view.copies - 1
    rays = views * pixels * parameters.rendering.embree.supersample**2
    copies = parameters.deformed.copies
    made = parameters.made.count
    render = ((1 + copies) * objects + made) * _RENDER_SECONDS * rays / _REFERENCE_RAYS / cores / 3600
    stages = [StageCost(stage="views", steps=0, samples=0, hours=render)]
    timed = {
        "text_to_image": (parameters.text_to_image.training, _text_to_image_probe),
        "lifted_reference": (parameters.novel_view.lifted.training, _lifting_probe),
        "novel_view": (parameters.novel_view.training, _novel_view_probe),
    }
    for name, (loop, probe) in timed.items():
        stages.append(_cost(name, loop, _seconds_per_step(loop, probe(parameters), place)))
    untimed = {
        "autoencoder": parameters.autoencoder.training,
        "decoder": parameters.decoder.training,
        "latent_plane density": parameters.latent_plane.density,
        "latent_plane features": parameters.latent_plane.features,
        "scorer": parameters.scorer.training,
    }
    stages += [_cost(name, loop, None) for name, loop in untimed.items()]
    return PretrainPlan(
        objects=objects,
        vocabulary=vocabulary,
        held_out=held_out,
        made=made,
        disk_mb=views
        * (
            pixels * (4 + 2) * ((1 + copies) * objects + made)
            + latents * ((4 + 2 * others + 4 * copies) * objects + 4 * made)
        )
        / 1e6,
        machine=_machine(place, cores),
        stages=tuple(stages),
    )


def _cost(name: str, loop: LoopParameters, seconds: float | None) -> StageCost:
    hours = None if seconds is None else loop.steps * seconds / 3600
    return StageCost(stage=name, steps=loop.steps, samples=loop.samples, hours=hours)


Probe = tuple[Objective, Callable[[int], Any]]


def _text_to_image_probe(parameters: PretrainParameters) -> Probe:
    channels, size, schedule = _latents(parameters)
    unet = parameters.text_to_image.unet
    objective = TextToImageObjective(make_unet(unet, channels, channels, size), schedule)

    def batch(count: int) -> TextToImageBatch:
        x = torch.randn(count, channels, size, size)
        context = torch.randn(count, _CONTEXT_TOKENS, unet.context_width)
        return TextToImageBatch(x, torch.full((count,), schedule.num_timesteps // 2), context, x)

    return objective, batch


def _lifting_probe(parameters: PretrainParameters) -> Probe:
    lifted = parameters.novel_view.lifted
    objective = LiftingObjective(
        _lifted_reference(parameters), lifted.silhouette_weight, lifted.overlap_weight
    )
    return objective, _novel_view_batches(parameters)


def _novel_view_probe(parameters: PretrainParameters) -> Probe:
    channels, size, schedule = _latents(parameters)
    lifted = _lifted_reference(parameters).requires_grad_(False)
    network = make_novel_view(parameters.novel_view.unet, channels, size, lifted.map_channels)
    weight = parameters.novel_view.decoder_weight
    objective = NovelViewObjective(network, lifted, schedule, 0.0, weight)
    return objective, _novel_view_batches(parameters)


def _lifted_reference(parameters: PretrainParameters) -> Any:
    channels, size, _ = _latents(parameters)
    focal = parameters.rendering.protocol.focal_at_256 / 256
    return make_lifted_reference(parameters.novel_view.lifted, channels, size, focal)


def _novel_view_batches(parameters: PretrainParameters) -> Callable[[int], NovelViewBatch]:
    channels, size, _ = _latents(parameters)
    wanted = parameters.novel_view.wanted_views
    cameras = multiview_cameras().world_to_camera[:wanted]

    def batch(count: int) -> NovelViewBatch:
        references = count // wanted
        x = torch.randn(references, wanted, channels, size, size)
        poses = cameras.expand(references, wanted, 4, 4)
        return NovelViewBatch(x, torch.rand(references, wanted, size, size), x[:, 0], poses[:, 0], poses)

    return batch


def _latents(parameters: PretrainParameters) -> tuple[int, int, NoiseSchedule]:
    size = parameters.rendering.protocol.size // PATCH_SIZE
    return parameters.autoencoder.latent_channels, size, embedded_schedule()


def _seconds_per_step(loop: LoopParameters, probe: Probe, place: TrainingContext) -> float:
    """Of the second of two steps; the first one makes the optimizer's state and chooses kernels."""
    objective, batch = probe
    if place.device.type == "cpu":
        prepare_for_cpu(objective)
    model = place.accelerator.prepare(objective)
    optimizer = make_optimizer(objective.network, objective.trained_parameters(), loop.settings(seed=0))
    data = batch(loop.batch_size)
    data = type(data)(*(part.to(place.device) for part in vars(data).values()))
    started = time.perf_counter()
    for _ in range(2):
        started = time.perf_counter()
        place.accelerator.backward(model(data, torch.Generator().manual_seed(0))["loss"])
        optimizer.step()
        optimizer.zero_grad()
        if place.device.type == "cuda":
            torch.cuda.synchronize(place.device)
    return time.perf_counter() - started


def _machine(place: TrainingContext, cores: int) -> str:
    if place.device.type == "cuda":
        return torch.cuda.get_device_name(place.device)
    precision = "bfloat16" if place.accelerator.mixed_precision == "bf16" else "float32"
    return f"{cores} CPU core{'s' if cores > 1 else ''} in {precision}"


def _duration(hours: float) -> str:
    minutes = round(hours * 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
