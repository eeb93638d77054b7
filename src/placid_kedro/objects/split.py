"""Which objects of a training set are held out for validation."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass


def normal_name(name: str) -> str:
    """A library's name as captions hold it: lower case, single blanks. Objects with the same one are one kind."""
    return re.sub(r"\s+", " ", name.strip().lower())


def hold_out(
    names: Sequence[str], kept: Collection[str], count: int, seed: int
) -> tuple[list[int], list[int]]:
    """Draw objects that no training may see.

    Args:
        names: of all objects.
        kept: names that are never drawn.
        count: how many are drawn.
        seed: of the draw.

    Returns:
        Indices of the drawn objects in the order of the draw, and those of all objects that share a name with
        one of them (themselves included) in ascending order.
    """
    normal = [normal_name(name) for name in names]
    candidates = [index for index, name in enumerate(normal) if name not in kept]
    random.Random(seed).shuffle(candidates)
    drawn = candidates[:count]
    unseen = {normal[index] for index in drawn}
    return drawn, [index for index, name in enumerate(normal) if name in unseen]


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
