"""Parameters of one training loop."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from placid_kedro.parameter_types import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    Range,
)
from placid_kedro.training.settings import LearningRateSchedule, OptimizerName, TrainingSettings


class LoopParameters(ParameterModel):
    """One training (see `placid_kedro.training.TrainingSettings`).

    Attributes:
        steps: of the optimizer.
        batch_size: samples a step.
        optimizer: `adamw`, or `muon` for the matrices between the first and the last layer.
        decay_share: share of the steps, the last ones, in which the learning rate falls to nearly nothing.
    """

    steps: PositiveInt
    batch_size: PositiveInt
    optimizer: OptimizerName
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    betas: Annotated[Range, Field(strict=False)]
    warmup_steps: NonNegativeInt
    decay_share: Fraction
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    max_grad_norm: PositiveFloat
    log_every: PositiveInt
    checkpoint_every: PositiveInt
    validate_every: PositiveInt

    @property
    def samples(self) -> int:
        """How many samples the network sees."""
        return self.steps * self.batch_size

    def settings(self, seed: int) -> TrainingSettings:
        """The training loop's settings."""
        values = self.model_dump(exclude={"batch_size", "warmup_steps", "decay_share"})
        schedule = LearningRateSchedule(warmup_steps=self.warmup_steps, decay_share=self.decay_share)
        return TrainingSettings(schedule=schedule, seed=seed, **values)
