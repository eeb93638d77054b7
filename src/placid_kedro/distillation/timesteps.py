"""Which timesteps a distillation run visits: values that are called with the run's progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from placid_kedro.parameter_types import ParameterModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from placid_kedro.diffusion.schedule import NoiseSchedule

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Range(ParameterModel):
    """The share [low, high) of the schedule's T timesteps."""

    low: Share = 0.02
    high: Share = 0.98

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high}).")
        return self


class Uniform(_Range):
    """t ~ U[low T, high T), the same throughout (DreamFusion; the 2D experiments of Sec. 4.3)."""

    kind: Literal["uniform"] = "uniform"

    def __call__(
        self, progress: float, batch: int, schedule: NoiseSchedule, generator: torch.Generator
    ) -> Tensor:
        """t [batch] int64 on the generator's device; progress in [0, 1] is not used."""
        return _draw(self.low, self.high, batch, schedule, generator)


class Annealed(_Range):
    """t ~ U[low T, h T) where h falls linearly from high to high_end during the first `until` of the run.

    The defaults are the splat configuration of the paper: [0.02, 0.5] with the upper end annealed from 0.98
    over the first 1500 of 5000 steps.
    """

    kind: Literal["annealed"] = "annealed"
    high_end: Share = 0.5
    until: Annotated[float, Field(gt=0.0, le=1.0)] = 0.3

    @model_validator(mode="after")
    def _low_below_high_end(self) -> Self:
        if self.low >= self.high_end:
            raise ValueError(f"low ({self.low}) must be below high_end ({self.high_end}).")
        return self

    def __call__(
        self, progress: float, batch: int, schedule: NoiseSchedule, generator: torch.Generator
    ) -> Tensor:
        """t [batch] int64 on the generator's device, for progress in [0, 1]."""
        annealed = min(progress / self.until, 1.0)
        return _draw(self.low, self.high + annealed * (self.high_end - self.high), batch, schedule, generator)


class LinearDescending(_Range):
    """t falls linearly from the largest to the smallest timestep of the range; the whole batch shares it."""

    kind: Literal["linear_descending"] = "linear_descending"

    def __call__(
        self, progress: float, batch: int, schedule: NoiseSchedule, generator: torch.Generator
    ) -> Tensor:
        """t [batch] int64 on the generator's device, for progress in [0, 1]; draws nothing."""
        import torch

        first, last = _bounds(self.low, self.high, schedule)
        t = round(last + progress * (first - last))
        return torch.full((batch,), t, device=generator.device)


class DreamTime(_Range):
    """Time-prioritised descent (Huang et al. 2023, DreamTime): most steps where W(t) is large.

    t(i) is where the sum of W from t up to the largest timestep reaches the share i / N of the whole sum. W
    is 1 between the timesteps m2 and m1 and falls off as Gaussians of widths s1 above and s2 below, for
    T = 1000 (the prior weight of the paper, as public implementations use it, without its second factor).
    """

    kind: Literal["dreamtime"] = "dreamtime"
    m1: float = 800.0
    m2: float = 500.0
    s1: Annotated[float, Field(gt=0.0)] = 300.0
    s2: Annotated[float, Field(gt=0.0)] = 100.0

    @model_validator(mode="after")
    def _m2_not_above_m1(self) -> Self:
        if self.m2 > self.m1:
            raise ValueError(f"m2 ({self.m2}) must not be above m1 ({self.m1}).")
        return self

    def __call__(
        self, progress: float, batch: int, schedule: NoiseSchedule, generator: torch.Generator
    ) -> Tensor:
        """t [batch] int64 on the generator's device, for progress in [0, 1]; draws nothing."""
        import torch

        first, last = _bounds(self.low, self.high, schedule)
        descending = torch.arange(last, first - 1, -1, dtype=torch.float64)
        thousandths = descending * (1000 / schedule.num_timesteps)
        above = (thousandths - self.m1).clamp_min(0) / self.s1
        below = (self.m2 - thousandths).clamp_min(0) / self.s2
        reached = torch.exp(-(above**2 + below**2) / 2).cumsum(0)
        nearest = (reached / reached[-1] - progress).abs().argmin()
        return torch.full((batch,), int(descending[nearest]), device=generator.device)


TimestepSchedule = Annotated[Uniform | Annealed | LinearDescending | DreamTime, Field(discriminator="kind")]


def _bounds(low: float, high: float, schedule: NoiseSchedule) -> tuple[int, int]:
    """The first and the last timestep of the share [low, high), both included; at least one timestep."""
    first = min(round(low * schedule.num_timesteps), schedule.num_timesteps - 1)
    return first, max(round(high * schedule.num_timesteps) - 1, first)


def _draw(low: float, high: float, batch: int, schedule: NoiseSchedule, generator: torch.Generator) -> Tensor:
    import torch

    first, last = _bounds(low, high, schedule)
    return torch.randint(first, last + 1, (batch,), generator=generator, device=generator.device)
