"""What one step of the distillation into Gaussians tells the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from placid_kedro.device import to_host
from placid_kedro.distillation.interface import Diagnostics
from placid_kedro.finite import count_not_finite


@dataclass(frozen=True)
class StepNumbers:
    """All that the host reads of a step, at its end and at once: every look at a GPU waits until it is done.

    Attributes:
        usable, finite: of the guidance of each sample, see `usable_samples`.
        losses: by name.
        diagnostics: means over the samples, by name; those that the algorithm has.
        bad_losses, bad_values: how many values of each loss and of each of the Gaussians' parameters are not finite.
    """

    usable: list[bool]
    finite: list[bool]
    losses: dict[str, float]
    diagnostics: dict[str, float]
    bad_losses: dict[str, int]
    bad_values: dict[str, int]

    @classmethod
    def read(
        cls,
        usable: Tensor,
        finite: Tensor,
        losses: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        diagnostics: Diagnostics,
    ) -> StepNumbers:
        """From tensors of one device: usable and finite [B], scalar losses, the parameters after the step."""
        means = diagnostics.means()
        groups = {
            "losses": losses,
            "diagnostics": means,
            "bad_losses": {name: count_not_finite(loss) for name, loss in losses.items()},
            "bad_values": {name: count_not_finite(value) for name, value in parameters.items()},
        }
        flat = {f"{group}.{name}": value for group, named in groups.items() for name, value in named.items()}
        read = to_host({"usable": usable, "finite": finite, **flat})
        one = {group: {name: read[f"{group}.{name}"][0] for name in named} for group, named in groups.items()}
        return cls(
            usable=[bool(value) for value in read["usable"]],
            finite=[bool(value) for value in read["finite"]],
            losses=one["losses"],
            # NaN stands for a number that the algorithm does not have.
            diagnostics={name: mean for name, mean in one["diagnostics"].items() if mean == mean},
            bad_losses={name: int(count) for name, count in one["bad_losses"].items()},
            bad_values={name: int(count) for name, count in one["bad_values"].items()},
        )
