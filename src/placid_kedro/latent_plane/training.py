"""The training loop of a stage: AdamW, EMA, accumulation, resumable to the bit, one to many devices."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.latent_plane.objectives import PlaneObjective
from placid_kedro.latent_plane.plane import LatentPlane

# (number of the batch, generator of its own) -> batch, on the training device.
BatchSource = Callable[[int, torch.Generator], Any]
Log = Callable[[dict[str, float], int], None]
Validation = Callable[[LatentPlane, int], dict[str, float]]


@dataclass(frozen=True)
class TrainingSettings:
    """How a stage is trained.

    Attributes:
        steps: optimizer steps of the whole stage.
        learning_rate: AdamW's, after the warm-up.
        weight_decay: AdamW's.
        betas: AdamW's.
        warmup_steps: steps over which the learning rate rises linearly.
        max_grad_norm: gradients are scaled down to this norm.
        accumulate: batches a process handles for one optimizer step.
        ema_decay: of the averaged weights.
        seed: of everything random; batch number i sees the same random numbers in every run.
        log_every, checkpoint_every, validate_every: in steps.
    """

    steps: int
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    accumulate: int = 1
    ema_decay: float = 0.999
    seed: int = 0
    log_every: int = 10
    checkpoint_every: int = 500
    validate_every: int = 500

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} must be at least 1, got {getattr(self, name)}.")

    @property
    def identity(self) -> dict[str, Any]:
        """The settings on which the result of a given step depends."""
        loose = ("steps", "log_every", "checkpoint_every", "validate_every")
        return {name: value for name, value in asdict(self).items() if name not in loose}


def make_accelerator(mixed_precision: str = "no", cpu: bool = False) -> Accelerator:
    """The accelerator of this process; `accelerate launch` decides how many there are.

    Raises:
        ParameterError: for a reduced precision without CUDA, where it would be slower, not faster.
    """
    if mixed_precision != "no" and (cpu or not torch.cuda.is_available()):
        raise ParameterError(f"mixed_precision {mixed_precision!r} needs CUDA; use 'no' on the CPU.")
    return Accelerator(mixed_precision=mixed_precision, cpu=cpu)


def train(
    objective: PlaneObjective,
    batches: BatchSource,
    settings: TrainingSettings,
    accelerator: Accelerator,
    checkpoint: Path,
    *,
    log: Log | None = None,
    validate: Validation | None = None,
) -> None:
    """Train a stage, going on from `checkpoint` where there is one; the plane ends with the averaged weights.

    A step's random numbers derive from the seed and the number of its batch alone, batches are dealt to the
    processes in turn, and gradients are averaged: a run that was cut gives the same weights to the bit, and
    one on another number of processes with as many batches a step the same up to rounding.

    Args:
        objective: the stage; its plane is trained in place.
        batches: a batch for every number.
        settings: how to train.
        accelerator: see `make_accelerator`.
        checkpoint: file to write and to go on from; replaced in one piece.
        log: receives losses (mean over processes) and step, on the main process.
        validate: called on the main process with the averaged weights in the plane; its numbers are logged.

    Raises:
        DataError: when the checkpoint is damaged or of a run with other settings.
        ParameterError: when a loss is no number any more.
    """
    plane = objective.plane
    objective.train()
    optimizer = torch.optim.AdamW(
        objective.trained_parameters(),
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    model, prepared = accelerator.prepare(objective, optimizer)
    ema = EMAModel(objective.trained_parameters(), decay=settings.ema_decay)
    run = _Run(objective, prepared, ema, settings, accelerator, checkpoint)
    for step in range(run.resume(), settings.steps):
        losses = run.step(model, batches, step)
        done = step + 1
        if done % settings.log_every == 0 or done == settings.steps:
            run.report(losses, done, log)
        if validate is not None and (done % settings.validate_every == 0 or done == settings.steps):
            with run.averaged_weights():
                if accelerator.is_main_process:
                    with torch.no_grad():
                        metrics = validate(plane, done)
                    if log is not None:
                        log(metrics, done)
        if done % settings.checkpoint_every == 0 or done == settings.steps:
            run.save(done)
    ema.copy_to(objective.trained_parameters())
    objective.eval()
    for parameter in plane.parameters():
        parameter.requires_grad_(True)


class _Run:
    """Everything a checkpoint holds, and one step."""

    def __init__(
        self,
        objective: PlaneObjective,
        optimizer: Any,
        ema: EMAModel,
        settings: TrainingSettings,
        accelerator: Accelerator,
        checkpoint: Path,
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.ema = ema
        self.settings = settings
        self.accelerator = accelerator
        self.checkpoint = checkpoint

    @property
    def batches_per_step(self) -> int:
        return self.settings.accumulate * self.accelerator.num_processes

    @property
    def identity(self) -> str:
        """What a checkpoint must have in common with a run that goes on from it."""
        settings = {**self.settings.identity, "accumulate": self.batches_per_step}
        return json.dumps({"stage": type(self.objective).__name__, **settings}, sort_keys=True)

    def step(self, model: torch.nn.Module, batches: BatchSource, step: int) -> dict[str, Tensor]:
        accumulate = self.settings.accumulate
        losses: dict[str, Tensor] = {}
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * min(
                1.0, (step + 1) / (self.settings.warmup_steps + 1)
            )
        for micro in range(accumulate):
            number = step * self.batches_per_step + micro * self.accelerator.num_processes
            number += self.accelerator.process_index
            batch_generator, noise_generator = _generators(self.settings.seed, number)
            batch = batches(number, batch_generator)
            synchronise = nullcontext() if micro == accumulate - 1 else self.accelerator.no_sync(model)
            with synchronise:
                parts = model(batch, noise_generator)
                self.accelerator.backward(parts["loss"] / accumulate)
            for name, value in parts.items():
                losses[name] = losses.get(name, torch.zeros_like(value)) + value.detach() / accumulate
        self.accelerator.clip_grad_norm_(self.objective.trained_parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.objective.trained_parameters())
        return losses

    def report(self, losses: dict[str, Tensor], step: int, log: Log | None) -> None:
        mean = {name: float(self.accelerator.reduce(value, "mean")) for name, value in losses.items()}
        if not np.isfinite(mean["loss"]):
            raise ParameterError(
                f"The loss of step {step} is {mean['loss']}; lower learning_rate and start anew."
            )
        if log is not None and self.accelerator.is_main_process:
            log(mean, step)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        parameters = self.objective.trained_parameters()
        self.ema.store(parameters)
        self.ema.copy_to(parameters)
        self.objective.eval()
        try:
            yield
        finally:
            self.objective.train()
            self.ema.restore(parameters)

    def save(self, step: int) -> None:
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            state = {
                "step": step,
                "identity": self.identity,
                "plane": self.objective.plane.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ema": self.ema.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "rng": torch.get_rng_state(),
            }
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.checkpoint.with_name(self.checkpoint.name + ".part")
            torch.save(state, temporary)
            os.replace(temporary, self.checkpoint)
        self.accelerator.wait_for_everyone()

    def resume(self) -> int:
        """Load the checkpoint if there is one; the number of steps already done."""
        if not self.checkpoint.exists():
            return 0
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            identity, step = state["identity"], int(state["step"])
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise DataError(
                f"{self.checkpoint} is no whole checkpoint of this training; delete it to start anew."
            ) from error
        if identity != self.identity:
            difference = _difference(identity, self.identity)
            raise DataError(
                f"{self.checkpoint} belongs to a run with other settings ({difference}); "
                "use those, or delete it to start anew."
            )
        try:
            self.objective.plane.load_state_dict(state["plane"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{self.checkpoint} holds a Latent-Plane of other sizes; delete it to start anew."
            ) from error
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.accelerator.device)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])
        return step


def _generators(seed: int, number: int) -> tuple[torch.Generator, torch.Generator]:
    """One for making batch `number`, one for its noise."""
    seeds = np.random.SeedSequence([seed, number]).generate_state(2, np.uint64)
    first, second = (torch.Generator().manual_seed(int(value >> np.uint64(1))) for value in seeds)
    return first, second


def _difference(theirs: str, ours: str) -> str:
    old, new = json.loads(theirs), json.loads(ours)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {old.get(name)} instead of {new.get(name)}" for name in sorted(names))
