"""The embedded image-text scorer in the place of ImageReward."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from placid_kedro.embedded.networks.scorer import ImageScorer, known_names, load_scorer
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.stand_ins import SUFFIX
from placid_kedro.errors import ModelError

_BATCH = 64


class EmbeddedImageScorer:
    """By how many standard deviations a prompt fits an image better than the scorer's known names do on average.

    ImageReward is standardised over its training set; this is standardised over the names, image by image, so that it
    needs no constants that another training would change.

    Args:
        scorer: on the CPU.
        names: known to it, at least two.

    Raises:
        ModelError: for fewer names.
    """

    name = "the embedded image-text scorer"
    suffix = SUFFIX

    def __init__(self, scorer: ImageScorer, names: tuple[str, ...]) -> None:
        if len(names) < 2:
            raise ModelError(
                "The embedded scorer needs at least two known names to measure a prompt against."
            )
        self._scorer = scorer
        self.names = names
        self._embedded: dict[str, Tensor] = {}
        self._names = self._embed(names)

    @torch.no_grad()
    def similarities(self, images: Tensor, texts: list[str]) -> Tensor:
        """Cosine similarity [N, T] of images [N, 3, H, W] in [0, 1] over white and texts."""
        return self._features(images) @ self._embed(texts).T

    def rewards(self, images: Tensor, prompt: str) -> Tensor:
        """[N] float32 for images [N, 3, H, W] in [0, 1] over white."""
        return self.rewards_of_each(images, [prompt])[:, 0]

    @torch.no_grad()
    def rewards_of_each(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """[N, P] float32: the rewards of images [N, 3, H, W] for each of P prompts."""
        features = self._features(images)
        known = features @ self._names.T
        similarities = features @ self._embed(prompts).T
        return (similarities - known.mean(dim=1, keepdim=True)) / known.std(dim=1, keepdim=True).clamp(
            min=1e-6
        )

    @torch.no_grad()
    def best_names(self, images: Tensor) -> list[str]:
        """The known name that fits each image best."""
        return [
            self.names[index] for index in (self._features(images) @ self._names.T).argmax(dim=1).tolist()
        ]

    def _features(self, images: Tensor) -> Tensor:
        return torch.cat([self._scorer.embed_images(part.cpu()) for part in images.split(_BATCH)])

    @torch.no_grad()
    def _embed(self, texts: Sequence[str]) -> Tensor:
        """[T, E]; each text is read once: the names cost more than the images of an object."""
        new = [text for text in dict.fromkeys(texts) if text not in self._embedded]
        for start in range(0, len(new), _BATCH):
            part = new[start : start + _BATCH]
            read = self._scorer.embed_texts(MiniLMTextEncoder().sentence_embeddings(part))
            self._embedded |= dict(zip(part, read, strict=True))
        return torch.stack([self._embedded[text] for text in texts])


@lru_cache(maxsize=1)
def load_embedded_scorer(folder: Path) -> EmbeddedImageScorer:
    """The scorer of a model folder with its known names; all objects of one process share it.

    Raises:
        ModelError: the folder is incomplete, its scorer is another class, or it knows fewer than two names.
    """
    return EmbeddedImageScorer(load_scorer(folder), known_names(folder))
