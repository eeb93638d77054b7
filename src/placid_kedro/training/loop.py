"""The training loop: EMA, accumulation, checkpoints that go on to the bit, one to many devices."""

from __future__ import annotations

import json
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.files import new_file
from placid_kedro.finite import first_not_finite
from placid_kedro.progress import SILENT, Progress
from placid_kedro.training.optimizers import make_optimizer
from placid_kedro.training.settings import TrainingSettings

# (number of the batch, generator of its own) -> batch, on the training device.
BatchSource = Callable[[int, torch.Generator], Any]
Log = Callable[[dict[str, float], int], None]
Validation = Callable[[Any, int], dict[str, float]]

# Behind a layer that begins at zero the gradients are zero for a step or two.
_SETTLED_STEPS = 10


class Objective(nn.Module, ABC):
    """A loss and the network that it trains.

    Attributes:
        network: what a checkpoint holds, a part of the module.
    """

    network: nn.Module

    @abstractmethod
    def trained_parameters(self) -> list[nn.Parameter]:
        """The parameters of the network that are trained."""

    @abstractmethod
    def forward(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars by name, NaN for one that a batch says nothing of; the one to minimise is called "loss"."""


def make_accelerator(mixed_precision: str = "no", cpu: bool = False) -> Accelerator:
    """The accelerator of this process; `accelerate launch` decides how many there are.

    Args:
        mixed_precision: `no`, `fp16`, `bf16`, or `auto`: bf16 where the hardware computes in it, else `no`.
        cpu: do not use a GPU.

    Raises:
        ParameterError: for a reduced precision that this machine emulates, where it would be slower, not faster.
    """
    mixed_precision = resolve_precision(mixed_precision, on_cpu=cpu or not torch.cuda.is_available())
    # Otherwise the precision of a process's first accelerator would bind all later ones.
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=mixed_precision, cpu=cpu)


def resolve_precision(mixed_precision: str, on_cpu: bool) -> str:
    """`no`, `fp16` or `bf16`: what `auto` stands for here, or what was asked for.

    Raises:
        ParameterError: see `make_accelerator`.
    """
    has_bf16 = cpu_has_bf16() if on_cpu else torch.cuda.is_bf16_supported(including_emulation=False)
    if mixed_precision == "auto":
        return "bf16" if has_bf16 else "no"
    if mixed_precision == "bf16" and not has_bf16:
        raise ParameterError("mixed_precision 'bf16' needs CUDA or a CPU with AVX512-BF16; use 'no' here.")
    if mixed_precision == "fp16" and on_cpu:
        raise ParameterError("mixed_precision 'fp16' needs CUDA; use 'no' on the CPU.")
    return mixed_precision


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies in bfloat16."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def train(
    objective: Objective,
    batches: BatchSource,
    settings: TrainingSettings,
    accelerator: Accelerator,
    checkpoint: Path,
    *,
    data_id: str = "",
    log: Log | None = None,
    validate: Validation | None = None,
    progress: Progress = SILENT,
    description: str = "training",
) -> None:
    """Train a network, going on from `checkpoint` where there is one; it ends with the averaged weights.

    A step's random numbers derive from the seed and the number of its batch alone, batches are dealt to the
    processes in turn, and gradients are averaged: a run that was cut gives the same weights to the bit, and
    one on another number of processes with as many batches a step the same up to rounding.

    Args:
        objective: an `Objective`; its network is trained in place.
        batches: a batch for every number.
        settings: how to train.
        accelerator: see `make_accelerator`.
        checkpoint: file to write and to go on from; replaced in one piece.
        data_id: what the batches are made of; a checkpoint of other data is refused.
        log: receives losses (mean over processes and over the steps since the last call) and step, on the main
            process.
        validate: called on the main process with the averaged weights in the network; its numbers are logged.
        progress: shows the steps.
        description: on the bar.

    Raises:
        DataError: when the checkpoint is damaged or of a run with other settings or data.
        ParameterError: when a loss or a weight is no number any more, or some weights never have a gradient; the last
            checkpoint stays as it was.
    """
    objective.train()
    optimizer = make_optimizer(objective.network, objective.trained_parameters(), settings)
    model, prepared = accelerator.prepare(objective, optimizer)
    ema = EMAModel(objective.trained_parameters(), decay=settings.ema_decay)
    run = _Run(objective, prepared, ema, settings, accelerator, checkpoint, data_id)
    first = run.resume()
    since_report: list[dict[str, Tensor]] = []
    for step in progress.track(range(first, settings.steps), description=description):
        since_report.append(run.step(model, batches, step))
        done = step + 1
        last = done == settings.steps
        if done % settings.log_every == 0 or last:
            run.report(since_report, done, log)
            since_report = []
        if validate is not None and (done % settings.validate_every == 0 or last):
            run.validate(validate, done, log)
        if done % settings.checkpoint_every == 0 or last:
            run.save(done)
    ema.copy_to(objective.trained_parameters())
    objective.eval()
    objective.network.requires_grad_(True)


class _Run:
    """Everything a checkpoint holds, and one step."""

    def __init__(
        self,
        objective: Objective,
        optimizer: Any,
        ema: EMAModel,
        settings: TrainingSettings,
        accelerator: Accelerator,
        checkpoint: Path,
        data_id: str,
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.ema = ema
        self.settings = settings
        self.accelerator = accelerator
        self.checkpoint = checkpoint
        self.data_id = data_id

    @property
    def batches_per_step(self) -> int:
        return self.settings.accumulate * self.accelerator.num_processes

    @property
    def identity(self) -> str:
        """What a checkpoint must have in common with a run that goes on from it."""
        settings = {**self.settings.identity, "accumulate": self.batches_per_step}
        what = {"objective": type(self.objective).__name__, "data": self.data_id}
        return json.dumps({**what, **settings}, sort_keys=True)

    def step(self, model: torch.nn.Module, batches: BatchSource, step: int) -> dict[str, Tensor]:
        accumulate = self.settings.accumulate
        losses: dict[str, Tensor] = {}
        factor = self.settings.schedule.factor(step, self.settings.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * factor
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

    def report(self, steps: Sequence[dict[str, Tensor]], step: int, log: Log | None) -> None:
        mean: dict[str, float] = {}
        for name in steps[-1]:
            values = torch.stack([losses[name] for losses in steps])
            # Only the loss must be a number in every step.
            average = values.mean() if name == "loss" else values.nanmean()
            mean[name] = float(self.accelerator.reduce(average, "mean"))
        if not np.isfinite(mean["loss"]):
            raise ParameterError(
                f"The loss of step {step} is {mean['loss']}; lower learning_rate and start anew."
            )
        if log is not None and self.accelerator.is_main_process:
            log({name: value for name, value in mean.items() if np.isfinite(value)}, step)

    def validate(self, validate: Validation, step: int, log: Log | None) -> None:
        with self.averaged_weights():
            if self.accelerator.is_main_process:
                with torch.no_grad():
                    metrics = validate(self.objective.network, step)
                if log is not None:
                    log(metrics, step)

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
            self._check_weights(step)
            if step >= _SETTLED_STEPS:
                self._check_gradients(step)
            scaler = self.accelerator.scaler
            state = {
                "step": step,
                "identity": self.identity,
                "network": self.objective.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ema": self.ema.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "rng": torch.get_rng_state(),
            }
            with new_file(self.checkpoint) as temporary:
                torch.save(state, temporary)
        self.accelerator.wait_for_everyone()

    def _check_weights(self, step: int) -> None:
        """A checkpoint of weights that are no numbers would take the place of the last good one."""
        unusable = first_not_finite(dict(self.objective.network.named_parameters()))
        if unusable is not None:
            raise ParameterError(
                f"After step {step} the weights {unusable} are not finite; lower learning_rate and go on from the "
                f"last checkpoint, {self.checkpoint}, or delete it to start anew."
            )

    def _check_gradients(self, step: int) -> None:
        """A weight without a gradient stays as it was, while the loss of the others falls: nothing else would tell."""
        state, trained = self.optimizer.state, self.objective.trained_parameters()
        still = [one for one in trained if not _had_gradient(state.get(one, {}))]
        # With none at all a gradient scaler is still looking for its scale.
        if 0 < len(still) < len(trained):
            names = {id(one): name for name, one in self.objective.network.named_parameters()}
            raise ParameterError(
                f"After step {step} {len(still)} of {len(trained)} weights have never had a gradient, first "
                f"{names[id(still[0])]}; find what cuts it off (torch.compile can, in bfloat16 on a CPU)."
            )

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
            self.objective.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise DataError(
                f"{self.checkpoint} holds a network of other sizes; delete it to start anew."
            ) from error
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.accelerator.device)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])
        return step


def _had_gradient(state: dict[str, Any]) -> bool:
    """Whether an optimizer's memory of a parameter, AdamW's or Muon's, holds a gradient."""
    return any(bool(state[name].any()) for name in ("exp_avg_sq", "momentum_buffer") if name in state)


def _generators(seed: int, number: int) -> tuple[torch.Generator, torch.Generator]:
    """One for making batch `number`, one for its noise."""
    seeds = np.random.SeedSequence([seed, number]).generate_state(2, np.uint64)
    first, second = (torch.Generator().manual_seed(int(value >> np.uint64(1))) for value in seeds)
    return first, second


def _difference(theirs: str, ours: str) -> str:
    old, new = json.loads(theirs), json.loads(ours)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {old.get(name)} instead of {new.get(name)}" for name in sorted(names))
