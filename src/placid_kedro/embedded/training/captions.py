"""Captions for rendered objects: the object's name, sometimes its colour or material, sometimes the view."""

from __future__ import annotations

import re
from collections.abc import Iterable

from placid_kedro.objects.split import normal_name

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
