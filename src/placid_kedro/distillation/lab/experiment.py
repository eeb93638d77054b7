"""The 2D laboratory (Sec. 4.3, Fig. 2, 3, 9-11): a latent, or pixels, optimised by one algorithm directly."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from placid_kedro.distillation.config import Algorithm
from placid_kedro.distillation.distiller import Distiller
from placid_kedro.distillation.guard import GuidanceGuard
from placid_kedro.distillation.interface import Conditioning, Diagnostics, latent_loss
from placid_kedro.distillation.predictor import NoisePredictor
from placid_kedro.distillation.timesteps import TimestepSchedule, Uniform
from placid_kedro.errors import ShapeError
from placid_kedro.files import new_file
from placid_kedro.finite import check_finite
from placid_kedro.parameter_types import ParameterModel
from placid_kedro.progress import SILENT, Progress

RECORDED = ("t", "norm_cg", "norm_sg", "cosine", "norm_residual", "alpha", "cfg_equivalent")
_REMEDY = "lower distill_2d.learning_rate"


class LabSettings(ParameterModel):
    """How long and how fast; the defaults are the paper's 2D experiments.

    snapshots: numbers of steps after which the result is kept, the last one being the length of the run.
    checkpoint_every: steps between checkpoints, from which an interrupted run goes on.
    """

    snapshots: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (600, 1200)
    learning_rate: Annotated[float, Field(gt=0.0)] = 0.06
    timesteps: TimestepSchedule = Uniform()
    seed: int = 0
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    patience: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _snapshots_ascend(self) -> Self:
        if self.snapshots[0] < 1 or list(self.snapshots) != sorted(set(self.snapshots)):
            raise ValueError(f"snapshots must be ascending numbers of steps from 1 on, got {self.snapshots}.")
        return self


@dataclass(frozen=True, eq=False)
class Lab:
    """One experiment that several algorithms go through: B = prompts x seeds samples in one batch.

    start [B,C,h,w]: where every algorithm starts, see `start_noise`.
    conditioning: the prompts of the B samples, see `prompts_times_seeds`.
    to_latents: differentiable map from what is optimised (start's shape) to latents; identity for latents.
    identity: names the model and prompts; part of the checkpoints' names.

    All samples of a run share one noise generator seeded by the settings, so algorithms see the same noise
    and timesteps, and VSD's samples share one LoRA copy, told apart by their prompts.
    """

    predictor: NoisePredictor
    conditioning: Conditioning
    start: Tensor
    settings: LabSettings
    identity: str
    to_latents: Callable[[Tensor], Tensor] = field(default=lambda x: x)

    def run(self, algorithm: Algorithm, folder: Path, progress: Progress = SILENT) -> LabRun:
        """Optimise from the start with one algorithm, and keep the result in `folder`.

        A finished run with the same algorithm, settings, start and identity is read back; an interrupted one
        goes on from its last checkpoint to the same result as an unbroken one.

        Raises GuidanceError when the guidance is zero or not finite too often, NumericError when a sample is not
        finite any more.
        """
        path = self._path(algorithm, folder)
        state = _State.start(self, algorithm)
        if path.is_file():
            state.load(path)
        total = self.settings.snapshots[-1]
        steps = range(state.done, total)
        for step in progress.track(steps, description=algorithm.algorithm):
            diagnostics = state.advance()
            if (step + 1) % self.settings.checkpoint_every == 0 or step + 1 == total:
                state.save(path)
            means = {name: float(mean) for name, mean in diagnostics.means().items()}
            progress.log_metrics(step, {**means, **state.guard.metrics()})
        return state.result()

    def steps_done(self, algorithm: Algorithm, folder: Path) -> int:
        """How many steps of a run lie in `folder`: 0 where it has not begun, all of them where it is finished."""
        path = self._path(algorithm, folder)
        if not path.is_file():
            return 0
        with safe_open(path, framework="pt") as file:
            return int(file.get_slice("forwards").get_shape()[0])

    def seconds_of_a_step(self, algorithm: Algorithm) -> float:
        """Time one step from the start; nothing is kept of it."""
        state = _State.start(self, algorithm)
        state.advance()
        return state.seconds[-1]

    def _path(self, algorithm: Algorithm, folder: Path) -> Path:
        return folder / f"{algorithm.algorithm}-{self._fingerprint(algorithm)}.safetensors"

    def _fingerprint(self, algorithm: Algorithm) -> str:
        """16 hexadecimal digits of everything that decides the result, the code and the weights apart."""
        digest = hashlib.sha256()
        settings = self.settings.model_dump(exclude={"checkpoint_every"})
        digest.update(json.dumps([self.identity, algorithm.model_dump(), settings]).encode())
        prompts = self.conditioning.positive, self.conditioning.unconditional, self.conditioning.negative
        for tensor in (self.start, *(embedding for embedding in prompts if embedding is not None)):
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class LabRun:
    """What one algorithm made of the start.

    snapshots: number of steps -> what was optimised, [B,C,h,w].
    history: name (see RECORDED) -> float32 [steps,B]; t is a timestep, the rest as in `Diagnostics`.
    forwards, seconds: network evaluations a sample, and time, up to and with each step, float64 [steps].
    skipped: samples whose guidance was zero or not finite, counted over the steps.
    """

    algorithm: Algorithm
    snapshots: Mapping[int, Tensor]
    history: Mapping[str, Tensor]
    forwards: Tensor
    seconds: Tensor
    skipped: int

    def obtuse_share(self, steps: int) -> Tensor:
        """Share of the first `steps` steps in which <delta_CG, delta_SG> is negative, per sample [B]."""
        return (self.history["cosine"][:steps] < 0).float().mean(0)


def start_noise(seeds: Sequence[int], prompts: int, shape: Sequence[int]) -> Tensor:
    """Standard normal starts [prompts * len(seeds), *shape], float32; each prompt has the same ones."""
    noises = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(noises).repeat(prompts, *[1] * len(shape))


def prompts_times_seeds(
    positive: Tensor, unconditional: Tensor, seeds: int, negative: Tensor | None = None
) -> Conditioning:
    """Conditioning of P * seeds samples, prompt by prompt, from P prompts.

    positive [P,L,D]; unconditional and negative [1,L,D].
    """
    return Conditioning(positive.repeat_interleave(seeds, dim=0), unconditional, negative)


@dataclass
class _State:
    """A run under way."""

    lab: Lab
    distiller: Distiller
    x: Tensor
    optimizer: torch.optim.Adam
    generator: torch.Generator
    guard: GuidanceGuard
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    history: list[Tensor] = field(default_factory=list)  # each [len(RECORDED), B]
    forwards: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, lab: Lab, algorithm: Algorithm) -> _State:
        if lab.start.ndim != 4:
            raise ShapeError(f"the start must be [B,C,h,w], got {list(lab.start.shape)}.")
        settings = lab.settings
        generator = torch.Generator(lab.start.device).manual_seed(settings.seed)
        # A generator of its own, so that algorithms with a LoRA copy see the same noise as those without.
        lora_generator = torch.Generator().manual_seed(settings.seed)
        distiller = Distiller.create(algorithm, lab.predictor, lora_generator)
        guard = GuidanceGuard(settings.patience, settings.snapshots[-1])
        x = lab.start.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=settings.learning_rate)
        return cls(lab, distiller, x, optimizer, generator, guard)

    @property
    def done(self) -> int:
        return len(self.forwards)

    def advance(self) -> Diagnostics:
        """One step: t, guidance, Adam on 0.5 mean((x - sg(x - w g))^2), each sample's mean on its own."""
        began = time.perf_counter()
        settings, batch = self.lab.settings, len(self.x)
        progress = self.done / settings.snapshots[-1]
        t = settings.timesteps(progress, batch, self.lab.predictor.schedule, self.generator)
        step_generator = self._step_generator()
        latents = self.lab.to_latents(self.x)
        guidance = self.distiller(latents, self.lab.conditioning, t, step_generator, progress)
        usable = self.guard.usable(guidance.gradient)
        gradient = torch.where(usable.reshape(-1, 1, 1, 1), guidance.gradient, 0.0)
        self.optimizer.zero_grad()
        latent_loss(latents, gradient / latents[0].numel()).backward()
        before = self.x.detach().clone()
        self.optimizer.step()
        with torch.no_grad():
            self.x[~usable] = before[~usable]
        check_finite(
            {"sample": self.x.detach()}, f"Step {self.done} of {self.distiller.algorithm.algorithm}", _REMEDY
        )
        diagnostics = guidance.diagnostics
        self.history.append(torch.stack([getattr(diagnostics, name).float() for name in RECORDED]).cpu())
        self.forwards.append(diagnostics.forwards)
        if self.done in settings.snapshots:
            self.snapshots[self.done] = self.x.detach().clone()
        self.seconds.append(time.perf_counter() - began)
        return diagnostics

    def _step_generator(self) -> torch.Generator:
        """A generator for this step alone: what an algorithm draws does not shift the next step's noise."""
        device = self.x.device
        seed = int(torch.randint(2**62, (1,), generator=self.generator, device=device))
        return torch.Generator(device).manual_seed(seed)

    def result(self) -> LabRun:
        history = torch.stack(self.history)
        return LabRun(
            self.distiller.algorithm,
            self.snapshots,
            {name: history[:, index] for index, name in enumerate(RECORDED)},
            torch.tensor(self.forwards, dtype=torch.float64).cumsum(0),
            torch.tensor(self.seconds, dtype=torch.float64).cumsum(0),
            self.guard.skipped,
        )

    def save(self, path: Path) -> None:
        adam = self.optimizer.state[self.x]
        tensors = {
            "x": self.x.detach(),
            **{f"adam.{name}": value for name, value in adam.items()},
            **{f"snapshot.{steps}": value for steps, value in self.snapshots.items()},
            "history": torch.stack(self.history),
            "forwards": torch.tensor(self.forwards, dtype=torch.float64),
            "generator": self.generator.get_state(),
            "guard": torch.tensor(self.guard.counts),
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
        }
        if self.distiller.lora is not None:
            lora = self.distiller.lora.state_dict()
            tensors |= {f"lora.{name}": value for name, value in lora.items()}
        with new_file(path) as temporary:
            save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, temporary)

    def load(self, path: Path) -> None:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

        def under(prefix: str) -> dict[str, Tensor]:
            return {name[len(prefix) :]: v for name, v in tensors.items() if name.startswith(prefix)}

        with torch.no_grad():
            self.x.copy_(tensors["x"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": {0: under("adam.")}, "param_groups": groups})
        self.snapshots = {int(steps): v.to(self.x.device) for steps, v in under("snapshot.").items()}
        self.history = list(tensors["history"])
        self.forwards = tensors["forwards"].tolist()
        self.generator.set_state(tensors["generator"])
        self.guard.counts = tensors["guard"].tolist()
        self.seconds = tensors["seconds"].tolist()
        if self.distiller.lora is not None:
            self.distiller.lora.load_state_dict(under("lora."))
