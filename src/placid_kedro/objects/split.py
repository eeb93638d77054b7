"""Which objects of a training set are held out for validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from placid_kedro.embedded.training.split import hold_out


@dataclass(frozen=True)
class ValidationSplit:
    """Indices of objects, each in one part.

    Attributes:
        trained: that a network is trained on, ascending.
        held_out: that it is measured on, in the order of the draw.
        withheld: in neither part, because they share a name with a held-out one, ascending.
    """

    trained: tuple[int, ...]
    held_out: tuple[int, ...]
    withheld: tuple[int, ...]


def split_objects(names: Sequence[str], share: float, seed: int) -> ValidationSplit:
    """Hold a share of the objects out, at least one, never all: a set whose objects share one name is not split.

    Args:
        names: of the objects.
        share: in [0, 1); 0 holds none out.
        seed: of the draw.
    """
    everything = tuple(range(len(names)))
    if share == 0:
        return ValidationSplit(everything, (), ())
    drawn, unseen = hold_out(names, (), max(1, round(share * len(names))), seed)
    trained = tuple(index for index in everything if index not in set(unseen))
    if not trained:
        return ValidationSplit(everything, (), ())
    withheld = tuple(index for index in unseen if index not in set(drawn))
    return ValidationSplit(trained, tuple(drawn), withheld)
