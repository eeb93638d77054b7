"""Retrieval: among all the names that the scorer knows, how high does the prompt rank for the object's images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from placid_kedro.errors import ParameterError

_ARTICLES = ("a ", "an ", "the ")


class SimilarityScorer(Protocol):
    """Similarity of images [N, 3, H, W] in [0, 1] and texts: [N, T], larger is nearer."""

    def similarities(self, images: Tensor, texts: list[str]) -> Tensor: ...


@dataclass(frozen=True)
class Retrieval:
    """Where a prompt stands among other names.

    Attributes:
        rank: 1 when no name fits the images better than the prompt.
        of: number of names that it was compared with, itself included.
        score: mean similarity of images and prompt.
        best: the names that fit best, with their scores, best first.
    """

    rank: int
    of: int
    score: float
    best: tuple[tuple[str, float], ...]


def rank_of_prompt(
    scorer: SimilarityScorer, images: Tensor, prompt: str, names: Sequence[str], shown: int = 5
) -> Retrieval:
    """Rank a prompt among known names by the mean similarity over an object's images.

    Args:
        scorer: a scorer that did not guide the object's making.
        images: [N, 3, H, W] in [0, 1], the object over white.
        prompt: the text that the object was made from.
        names: the other candidates; one that is the prompt itself, but for its article or case, is left out.
        shown: how many of the best names are reported.

    Raises:
        ParameterError: without any name to compare with.
    """
    others = [name for name in dict.fromkeys(names) if plain_name(name) != plain_name(prompt)]
    if not others:
        raise ParameterError("Retrieval needs at least one name beside the prompt.")
    scores = scorer.similarities(images, [prompt, *others]).mean(dim=0)
    order = scores.argsort(descending=True)[:shown].tolist()
    texts = [prompt, *others]
    return Retrieval(
        rank=1 + int((scores[1:] > scores[0]).sum()),
        of=len(texts),
        score=float(scores[0]),
        best=tuple((texts[index], float(scores[index])) for index in order),
    )


def plain_name(name: str) -> str:
    """A name in lower case without its article."""
    words = name.strip().casefold()
    article = next((article for article in _ARTICLES if words.startswith(article)), "")
    return words.removeprefix(article)
