"""The runs of the laboratory: every algorithm, BSD's lam and fixed ratios, all from one start and one noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor

from placid_kedro.diffusion.text_to_image import TextToImage, images_from_noise
from placid_kedro.distillation.config import (
    BSD,
    EQUATION_WEIGHTINGS,
    Algorithm,
    DistillationConfig,
    FixedRatio,
    SweptPreset,
)
from placid_kedro.distillation.lab.experiment import (
    Lab,
    LabRun,
    LabSettings,
    prompts_times_seeds,
    start_noise,
)
from placid_kedro.distillation.predictor import NoisePredictor
from placid_kedro.errors import GuidanceError
from placid_kedro.progress import SILENT, Progress

T = TypeVar("T")

Experiment = Literal["comparison", "lam", "ratio"]
_RECORDED_EVERY = 10


@dataclass(frozen=True)
class PlannedRun:
    """One run: its label, the experiment it is part of, the swept value (None in the comparison)."""

    label: str
    experiment: Experiment
    value: float | None
    algorithm: Algorithm


def plan_runs(
    algorithms: Mapping[str, DistillationConfig],
    lams: Sequence[float],
    ratios: Sequence[float],
    swept: SweptPreset = "paper",
) -> tuple[PlannedRun, ...]:
    """The comparison (Fig. 3, 9, 11), BSD at each lam (Fig. 5), no balancing at each fixed ratio (Fig. 10).

    swept: the preset of BSD for the latter two, which gives both their w.
    """
    compared = [PlannedRun(label, "comparison", None, each.root) for label, each in algorithms.items()]
    balanced = [
        PlannedRun(f"bsd lam {value:g}", "lam", value, BSD(lam=value, preset=swept)) for value in lams
    ]
    w = EQUATION_WEIGHTINGS[swept]
    fixed = [
        PlannedRun(f"ratio {value:g}", "ratio", value, FixedRatio(ratio=value, weighting=w))
        for value in ratios
    ]
    return (*compared, *balanced, *fixed)


def make_lab(
    model: TextToImage,
    prompts: Sequence[str],
    seeds: Sequence[int],
    negative_prompt: str,
    settings: LabSettings,
    identity: str,
) -> Lab:
    """A laboratory on the model's latents: B = prompts x seeds samples, prompt by prompt."""
    conditioning = prompts_times_seeds(
        model.embed(prompts), model.embed([""]), len(seeds), model.embed([negative_prompt])
    )
    start = start_noise(seeds, len(prompts), model.latent_shape).to(model.device)
    return Lab(NoisePredictor(model.unet, model.schedule), conditioning, start, settings, identity)


def ground_truth(
    model: TextToImage,
    prompts: Sequence[str],
    seeds: Sequence[int],
    count: int,
    *,
    steps: int,
    guidance_scale: float,
    progress: Progress = SILENT,
) -> Tensor:
    """Samples of ordinary diffusion, [P,count,3,H,W] in [0,1], one prompt after the other to save memory.

    The first ones of a prompt start from the noise of `seeds`, as the laboratory does, the others from the
    seeds that follow the largest.
    """
    further = range(max(seeds) + 1, max(seeds) + 1 + count - len(seeds))
    noise = start_noise([*seeds, *further], 1, model.latent_shape).to(model.device)
    images = [
        images_from_noise(
            model,
            [prompt] * count,
            noise,
            steps=steps,
            guidance_scale=guidance_scale,
            progress=progress,
            description=f"ground truth, {prompt}",
        ).cpu()
        for prompt in prompts
    ]
    return torch.stack(images)


def seconds_left(lab: Lab, runs: Sequence[PlannedRun], folder: Path) -> float:
    """How long the unfinished runs will take, from one timed step of each kind of algorithm."""
    total = lab.settings.snapshots[-1]
    left = {run.algorithm: total - lab.steps_done(run.algorithm, folder) for run in runs}
    unfinished = {algorithm: steps for algorithm, steps in left.items() if steps > 0}
    if not unfinished:
        return 0.0
    kinds = {algorithm.algorithm: algorithm for algorithm in unfinished}
    lab.seconds_of_a_step(next(iter(unfinished)))  # the first one also sets up the kernels
    seconds = {kind: lab.seconds_of_a_step(algorithm) for kind, algorithm in kinds.items()}
    return sum(steps * seconds[algorithm.algorithm] for algorithm, steps in unfinished.items())


def carry_out(
    lab: Lab, runs: Sequence[PlannedRun], folder: Path, progress: Progress = SILENT
) -> dict[str, LabRun]:
    """Every run by its label. Finished ones are read back from `folder`, interrupted ones go on.

    Raises:
        GuidanceError: names the run whose guidance keeps being zero or not finite.
    """
    results: dict[str, LabRun] = {}
    for number, run in enumerate(progress.track(runs, description="runs"), start=1):
        reported = _Labelled(progress, run.label, f"run {number} of {len(runs)}, {run.label}")
        try:
            results[run.label] = lab.run(run.algorithm, folder, reported)
        except GuidanceError as error:
            raise GuidanceError(f"The run '{run.label}' stopped: {error}") from error
    return results


@dataclass(frozen=True)
class _Labelled:
    """A progress that puts the run's label before each metric and records every tenth step."""

    progress: Progress
    label: str
    bar: str

    def track(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        return self.progress.track(iterable, total, self.bar)

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        if step % _RECORDED_EVERY == 0:
            finite = {name: value for name, value in metrics.items() if value == value}
            self.progress.log_metrics(step, {f"{self.label}/{name}": value for name, value in finite.items()})

    def log_image(self, step: int, name: str, image: Tensor) -> None:
        self.progress.log_image(step, f"{self.label}/{name}", image)
