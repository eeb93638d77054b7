"""What scores images, describes them and judges descriptions: the real ones and their stand-ins alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

LOWEST_RATING, HIGHEST_RATING = 1, 5


class Named(Protocol):
    """What a report says of a scorer.

    Attributes:
        name: of the model, with its version.
        suffix: what its numbers' names end with: empty for the protocol's own kind of model, else for instance
            `_embedded` or `_clip`, so that no other model's number stands under the name of the protocol's.
    """

    @property
    def name(self) -> str: ...

    @property
    def suffix(self) -> str: ...


class ImageScorer(Named, Protocol):
    """Rewards of images [N, 3, H, W] in [0, 1] for one prompt: [N] float32 on the CPU, about standard normal."""

    def rewards(self, images: Tensor, prompt: str) -> Tensor: ...


class Captioner(Named, Protocol):
    """One sentence for each of the images [N, 3, H, W] in [0, 1]; the seed decides where it draws words by chance."""

    def captions(self, images: Tensor, seed: int) -> list[str]: ...


@dataclass(frozen=True)
class Rating:
    """How much of a prompt a caption recalls.

    Attributes:
        score: 1 to 5.
        answer: the judge's own words.
    """

    score: int
    answer: str


class Judge(Named, Protocol):
    """Merges the captions of one object's views, and rates what came out."""

    def merge(self, captions: list[str]) -> str: ...

    def rate(self, prompt: str, caption: str) -> Rating: ...
