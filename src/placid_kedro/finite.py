"""Numbers that are numbers: the check that long loops, models and artifacts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from placid_kedro.errors import NumericError

if TYPE_CHECKING:
    from torch import Tensor


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor that holds NaN or an infinite value; None when all are finite."""
    return next((name for name, value in tensors.items() if not bool(value.isfinite().all())), None)


def check_finite(tensors: Mapping[str, Tensor], what: str, remedy: str) -> None:
    """Refuse values that are no numbers.

    Args:
        tensors: of any shape and type, by name.
        what: what they are, the beginning of a sentence.
        remedy: what to do, its end, without a full stop.

    Raises:
        NumericError: naming the first tensor that holds NaN or an infinite value, and how many it holds.
    """
    name = first_not_finite(tensors)
    if name is not None:
        check_counts({name: int(count_not_finite(tensors[name]))}, tensors, what, remedy)


def count_not_finite(tensor: Tensor) -> Tensor:
    """How many values are NaN or infinite, as a scalar on the tensor's device."""
    return (~tensor.isfinite()).sum()


def check_counts(counts: Mapping[str, int], tensors: Mapping[str, Tensor], what: str, remedy: str) -> None:
    """As `check_finite`, from counts that were taken before; the tensors are asked for their sizes only.

    Raises:
        NumericError: as `check_finite`.
    """
    for name, bad in counts.items():
        if bad:
            raise NumericError(
                f"{what}: {bad} of the {tensors[name].numel()} values of {name!r} are not finite; {remedy}."
            )
