"""The forward process `x_t = a_t x + s_t e` of a discrete diffusion model and its three parameterisations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from placid_kedro.device import to_device
from placid_kedro.errors import ModelError, ParameterError, ShapeError

PredictionType = Literal["epsilon", "v_prediction", "sample"]

# The smallest a_t or s_t ever divided by; its square is the floor diffusers gives a zero terminal SNR.
_SMALLEST_DIVISOR = 2.0**-12


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Noise levels of a diffusion model with T steps, and what its network predicts.

    Attributes:
        alphas_cumprod: [T] floating point in [0, 1], non-increasing; it may end at exactly 0 (zero terminal SNR).
        prediction_type: "epsilon" (the noise e), "v_prediction" (v = a_t e - s_t x, Salimans and Ho 2022, App. D) or
            "sample" (x itself).

    Raises:
        ParameterError: the levels or the prediction type are outside those ranges.
    """

    alphas_cumprod: Tensor
    prediction_type: PredictionType = "epsilon"

    def __post_init__(self) -> None:
        levels = self.alphas_cumprod
        if levels.ndim != 1 or len(levels) == 0 or not levels.is_floating_point():
            raise ParameterError(
                f"alphas_cumprod must be a floating vector [T], got {levels.dtype} {list(levels.shape)}."
            )
        # NaN fails the first comparison too.
        if not bool(((levels >= 0) & (levels <= 1)).all()) or bool((levels.diff() > 0).any()):
            raise ParameterError("alphas_cumprod must lie in [0, 1] and never increase with the timestep.")
        if self.prediction_type not in get_args(PredictionType):
            known = ", ".join(get_args(PredictionType))
            raise ParameterError(f"prediction_type is {self.prediction_type!r}, expected one of {known}.")

    @classmethod
    def from_scheduler(cls, scheduler: Any) -> NoiseSchedule:
        """Read the levels and prediction type of a diffusers scheduler (DDPM, DDIM, DPM-Solver, ...).

        Raises ModelError for a scheduler that has no `alphas_cumprod`, such as those of flow matching.
        """
        if not hasattr(scheduler, "alphas_cumprod"):
            raise ModelError(
                f"{type(scheduler).__name__} has no alphas_cumprod; use one of a discrete diffusion model."
            )
        prediction_type = cast(PredictionType, scheduler.config.prediction_type)
        return cls(scheduler.alphas_cumprod.detach().to(torch.float32), prediction_type)

    def to(self, device: torch.device) -> NoiseSchedule:
        """The same levels on a device, where the timesteps are: else every look at them is a transfer."""
        return replace(self, alphas_cumprod=to_device(self.alphas_cumprod, device))

    @property
    def num_timesteps(self) -> int:
        """T; timesteps are 0 .. T - 1."""
        return len(self.alphas_cumprod)

    def alpha_bar(self, t: Tensor | int) -> Tensor:
        """alphas_cumprod[t] as [B,1,1,1] on t's device, for t [B] or scalar (then B = 1), integers in [0, T).

        Raises ParameterError for a t of another dtype and, where t is on the CPU, for one outside the schedule: to look
        at one on a GPU is to wait for it.
        """
        steps = torch.as_tensor(t).reshape(-1)
        if steps.is_floating_point() or steps.dtype == torch.bool:
            raise ParameterError(f"timesteps must be integers, got {steps.dtype}.")
        if steps.device.type == "cpu":
            self._check_range(steps)
        return self.alphas_cumprod.to(steps.device)[steps.long()].reshape(-1, 1, 1, 1)

    def _check_range(self, steps: Tensor) -> None:
        outside = steps[(steps < 0) | (steps >= self.num_timesteps)]
        if len(outside) > 0:
            last = self.num_timesteps - 1
            raise ParameterError(f"timestep {int(outside[0])} is outside the schedule's 0..{last}.")

    def a(self, t: Tensor | int) -> Tensor:
        """a_t = sqrt(alphas_cumprod[t]) as [B,1,1,1]: the share of the signal."""
        return self.alpha_bar(t).sqrt()

    def s(self, t: Tensor | int) -> Tensor:
        """s_t = sqrt(1 - alphas_cumprod[t]) as [B,1,1,1]: the standard deviation of the noise."""
        return (1 - self.alpha_bar(t)).sqrt()

    def add_noise(self, x: Tensor, e: Tensor, t: Tensor | int) -> Tensor:
        """x_t = a_t x + s_t e for x, e [B,C,h,w] and t [B]."""
        return self.a(t) * x + self.s(t) * e

    def target(self, x: Tensor, e: Tensor, t: Tensor | int) -> Tensor:
        """What the network is trained to predict from x_t = a_t x + s_t e: e, v or x, [B,C,h,w]."""
        if self.prediction_type == "epsilon":
            return e
        if self.prediction_type == "v_prediction":
            return self.a(t) * e - self.s(t) * x
        return x

    def to_epsilon(self, model_output: Tensor, x_t: Tensor, t: Tensor | int) -> Tensor:
        """The noise that the network's output [B,C,h,w] at x_t [B,C,h,w] stands for.

        Raises ShapeError when output and x_t differ in shape (a network that predicts a variance too).
        """
        _require_same_shape(model_output, x_t)
        if self.prediction_type == "epsilon":
            return model_output
        if self.prediction_type == "v_prediction":
            return self.s(t) * x_t + self.a(t) * model_output
        return (x_t - self.a(t) * model_output) / self.s(t).clamp_min(_SMALLEST_DIVISOR)

    def to_x0(self, model_output: Tensor, x_t: Tensor, t: Tensor | int) -> Tensor:
        """The clean sample that the network's output [B,C,h,w] at x_t [B,C,h,w] stands for.

        v and sample prediction are exact at zero terminal SNR; see `x0_from_epsilon` for noise prediction.
        Raises ShapeError as `to_epsilon` does.
        """
        _require_same_shape(model_output, x_t)
        if self.prediction_type == "epsilon":
            return self.x0_from_epsilon(model_output, x_t, t)
        if self.prediction_type == "v_prediction":
            return self.a(t) * x_t - self.s(t) * model_output
        return model_output

    def x0_from_epsilon(self, epsilon: Tensor, x_t: Tensor, t: Tensor | int) -> Tensor:
        """(x_t - s_t e) / a_t; where a_t is 0 the noise says nothing about x: it then counts as 2^-12."""
        return (x_t - self.s(t) * epsilon) / self.a(t).clamp_min(_SMALLEST_DIVISOR)


def _require_same_shape(model_output: Tensor, x_t: Tensor) -> None:
    if model_output.shape != x_t.shape:
        raise ShapeError(
            f"the network's output is {list(model_output.shape)} for an input of {list(x_t.shape)}; "
            "they must be equal (a network that also predicts the variance is not supported)."
        )
