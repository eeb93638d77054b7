"""Captions for rendered objects: the object's name, sometimes its colour or material, sometimes the view."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from placid_kedro.embedded.training.colors import COLOR_WORDS, color_indices
from placid_kedro.objects.split import normal_name

# A colour is named when it covers this share of the object.
_DOMINANT_SHARE = 0.5
_PLURALS = {
    "scissors",
    "headphones",
    "sunglasses",
    "slippers",
    "orchids",
    "sneakers",
    "apples",
    "french fries",
    "glasses",
}
_UNCOUNTED = {"milk", "sugar", "bamboo"}


def color_word(rgb: NDArray[np.float32]) -> str | None:
    """The everyday name of the colour that dominates [P, 3] pixels in [0, 1], or None when none does."""
    if not len(rgb):
        return None
    sample = rgb[:: max(1, len(rgb) // 500)]
    counts = torch.bincount(color_indices(torch.from_numpy(sample).double()), minlength=len(COLOR_WORDS))
    best = int(counts.argmax())
    return COLOR_WORDS[best] if int(counts[best]) >= _DOMINANT_SHARE * len(sample) else None


def with_article(phrase: str) -> str:
    """`"armchair"` to `"an armchair"`; plurals and uncounted nouns stay bare."""
    if phrase.split()[-1] in _PLURALS or phrase in _PLURALS or phrase in _UNCOUNTED:
        return phrase
    return ("an " if re.match(r"[aeiou]", phrase) and not phrase.startswith("uni") else "a ") + phrase


def captions(name: str, adjectives: Iterable[str]) -> tuple[str, ...]:
    """All captions of an object without view words.

    Args:
        name: as in the object library, e.g. `"Teddy bear"`.
        adjectives: colour and material words that are true of it.

    Returns:
        The bare name, the name with its article, and one caption an adjective.
    """
    noun = normal_name(name)
    described = [
        with_article(f"{adjective} {noun}") for adjective in adjectives if adjective not in noun.split()
    ]
    return tuple(dict.fromkeys([noun, with_article(noun), *described]))
