"""What happens when the guidance is zero, infinite or NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from placid_kedro.errors import GuidanceError

_REMEDY = (
    "check that the prompt is not empty and that the model's weights and the latents are finite, or lower the "
    "learning rate."
)


def usable_samples(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Which samples of gradient [B,...] are finite and not all zero, and which are finite: booleans [B] beside it."""
    flat = gradient.detach().flatten(1)
    finite = flat.isfinite().all(1)
    return finite & (flat != 0).any(1), finite


def only_usable(gradient: Tensor, usable: Tensor) -> Tensor:
    """The gradient [B,...] with the samples that are not usable [B] set to zero, so that they move nothing."""
    return torch.where(usable.reshape(-1, *[1] * (gradient.ndim - 1)), gradient, 0.0)


@dataclass
class GuidanceGuard:
    """Counts unusable guidance and stops a run in which it keeps happening.

    patience: how many steps in a row may hold an unusable sample before GuidanceError is raised.
    steps: of the whole run, where it is known: then at most `share` of all its samples may be NaN or infinite. (Zero
    alone is no fault: the paper's w = a_t^2 is zero at the noisiest timestep of a schedule that ends in pure noise.)
    share: see `steps`, in [0, 1].
    skipped: how many samples were unusable so far; not_finite: how many of them were NaN or infinite.
    skipped_steps: how many steps held an unusable sample; in_a_row: the present run of such steps.
    """

    patience: int = 20
    steps: int | None = None
    share: float = 0.1
    skipped: int = field(default=0, init=False)
    not_finite: int = field(default=0, init=False)
    skipped_steps: int = field(default=0, init=False)
    in_a_row: int = field(default=0, init=False)

    def usable(self, gradient: Tensor) -> Tensor:
        """Which samples of gradient [B,...] are finite and not all zero, as booleans [B]; counts the others.

        Raises GuidanceError when this is the `patience`-th step in a row with an unusable sample, or when more than
        `share` of the run's samples were NaN or infinite by now.
        """
        usable, finite = usable_samples(gradient)
        self.count(usable.tolist(), finite.tolist())
        return usable

    def count(self, usable: Sequence[bool], finite: Sequence[bool]) -> None:
        """Take note of what `usable_samples` said of one step, and raise as `usable` does."""
        if all(usable):
            self.in_a_row = 0
            return
        self.skipped += usable.count(False)
        self.not_finite += finite.count(False)
        self.skipped_steps += 1
        self.in_a_row += 1
        what = "zero" if all(finite) else "not finite"
        sample = f"the guidance of sample {usable.index(False)} is {what}"
        if self.in_a_row >= self.patience:
            raise GuidanceError(f"{sample}, and {self.in_a_row} steps in a row had such a sample; {_REMEDY}")
        samples = len(usable) * self.steps if self.steps is not None else None
        if samples is not None and self.not_finite > self.share * samples:
            raise GuidanceError(
                f"{sample}, as was that of {self.not_finite} samples by now, more than {self.share:.0%} of the run's "
                f"{samples}; {_REMEDY}"
            )

    def filtered(self, gradient: Tensor) -> Tensor:
        """The gradient [B,...] with the unusable samples set to zero, so that they move nothing.

        Raises GuidanceError as `usable` does.
        """
        return only_usable(gradient, self.usable(gradient))

    @property
    def counts(self) -> list[int]:
        """What a checkpoint holds of it."""
        return [self.skipped, self.not_finite, self.skipped_steps, self.in_a_row]

    @counts.setter
    def counts(self, counts: list[int]) -> None:
        self.skipped, self.not_finite, self.skipped_steps, self.in_a_row = counts

    def metrics(self) -> dict[str, float]:
        """The counts by name."""
        return {"skipped_samples": float(self.skipped), "skipped_steps": float(self.skipped_steps)}
