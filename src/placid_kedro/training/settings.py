"""How a network is trained, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from placid_kedro.errors import ParameterError

OptimizerName = Literal["adamw", "muon"]


@dataclass(frozen=True)
class LearningRateSchedule:
    """A factor on the learning rate: a linear rise, a plateau, and a linear fall at the end.

    Attributes:
        warmup_steps: the factor rises over this many steps; the step after them is the first with the full rate.
        decay_share: share of all steps, the last ones, over which it falls; 0 keeps it.
        final_factor: the least that is left of it.
    """

    warmup_steps: int = 0
    decay_share: float = 0.0
    final_factor: float = 0.02

    def __post_init__(self) -> None:
        if self.warmup_steps < 0:
            raise ParameterError(f"warmup_steps must not be negative, got {self.warmup_steps}.")
        for name in ("decay_share", "final_factor"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name} must lie in [0, 1], got {getattr(self, name)}.")

    def factor(self, step: int, steps: int) -> float:
        """The factor of step `step` (from 0 on) of `steps`, in (0, 1]."""
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        falling = self.decay_share * steps
        left = (steps - step) / falling if falling else 1.0
        return rise * max(self.final_factor, min(1.0, left))


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        steps: optimizer steps of the whole training.
        optimizer: `adamw`, or `muon` for the matrices between a network's first and last layer.
        learning_rate: before the schedule's factor.
        weight_decay: decoupled.
        betas: AdamW's.
        schedule: the factor on the learning rate.
        max_grad_norm: gradients are scaled down to this norm.
        accumulate: batches a process handles for one optimizer step.
        ema_decay: of the averaged weights.
        seed: of everything random; batch number i sees the same random numbers in every run.
        log_every, checkpoint_every, validate_every: in steps.

    Raises:
        ParameterError: when a number of steps is not positive.
    """

    steps: int
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: LearningRateSchedule = field(default_factory=LearningRateSchedule)
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
        loose = {"log_every", "checkpoint_every", "validate_every"}
        if not self.schedule.decay_share:
            # Without a fall at the end, a longer training begins as a shorter one does.
            loose.add("steps")
        return {name: value for name, value in asdict(self).items() if name not in loose}
