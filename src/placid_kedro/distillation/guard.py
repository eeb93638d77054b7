"""What happens when the guidance is zero, infinite or NaN."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from placid_kedro.errors import GuidanceError


@dataclass
class GuidanceGuard:
    """Counts unusable guidance and stops a run in which it keeps happening.

    patience: how many steps in a row may hold an unusable sample before GuidanceError is raised.
    skipped: how many samples were unusable so far; in_a_row: the present run of steps with one.
    """

    patience: int = 20
    skipped: int = field(default=0, init=False)
    in_a_row: int = field(default=0, init=False)

    def usable(self, gradient: Tensor) -> Tensor:
        """Which samples of gradient [B,...] are finite and not all zero, as booleans [B]; counts the others.

        Raises GuidanceError when this is the `patience`-th step in a row with an unusable sample.
        """
        flat = gradient.detach().flatten(1)
        finite = flat.isfinite().all(1)
        usable = finite & (flat != 0).any(1)
        if bool(usable.all()):
            self.in_a_row = 0
            return usable
        self.skipped += int((~usable).sum())
        self.in_a_row += 1
        if self.in_a_row >= self.patience:
            what = "zero" if bool(finite.all()) else "not finite"
            raise GuidanceError(
                f"the guidance of sample {int(torch.nonzero(~usable)[0])} is {what}, and {self.in_a_row} "
                "steps in a row had such a sample; check that the prompt is not empty and that the model's "
                "weights and the latents are finite, or lower the learning rate."
            )
        return usable

    def filtered(self, gradient: Tensor) -> Tensor:
        """The gradient [B,...] with the unusable samples set to zero, so that they move nothing.

        Raises GuidanceError as `usable` does.
        """
        usable = self.usable(gradient).reshape(-1, *[1] * (gradient.ndim - 1))
        return torch.where(usable, gradient, 0.0)
