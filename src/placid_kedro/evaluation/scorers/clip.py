"""Any CLIP of transformers: cosine similarities of images and texts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import ModelError
from placid_kedro.evaluation.scorers.pixels import Pixels
from placid_kedro.models.hub import split_revision


class ClipScorer:
    """CLIP in the place of ImageReward, and a scorer for retrieval and for the filter of a training set.

    Args:
        model: a `CLIPModel`.
        tokenizer: its tokenizer.
        name: what reports call it.
        batch_size: images at a time.
    """

    suffix = "_clip"

    def __init__(self, model: Any, tokenizer: Any, name: str, batch_size: int) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self.name = name
        self._batch_size = batch_size
        self._pixels = Pixels(int(model.config.vision_config.image_size))

    def rewards(self, images: Tensor, prompt: str) -> Tensor:
        """[N] cosine similarities, in [-1, 1]."""
        return self.similarities(images, [prompt])[:, 0]

    def score(self, images: Tensor, text: str) -> float:
        """Mean cosine similarity of an object's images [N, 3, H, W] and a text."""
        return float(self.rewards(images, text).mean())

    @torch.no_grad()
    def similarities(self, images: Tensor, texts: list[str]) -> Tensor:
        """[N, T] float32 cosine similarities of images [N, 3, H, W] in [0, 1] and texts, on the CPU."""
        device = self._model.device
        tokens = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(device)
        text = self._model.text_projection(self._model.text_model(**tokens).pooler_output)
        parts = []
        for part in images.split(self._batch_size):
            pooled = self._model.vision_model(pixel_values=self._pixels(part.to(device))).pooler_output
            parts.append(self._model.visual_projection(pooled))
        first, second = (F.normalize(each.float(), dim=-1) for each in (torch.cat(parts), text))
        return (first @ second.T).cpu()


def load_clip(model: str, batch_size: int, device: torch.device, parameter: str) -> ClipScorer:
    """A CLIP from a hub id or folder.

    Args:
        model: hub id, with `@revision` for one commit, or folder.
        batch_size: images at a time.
        device: where it goes.
        parameter: that names the model, for what is said of a wrong one.

    Raises:
        ModelError: it is not there or no CLIP.
    """
    from transformers import CLIPModel, CLIPTokenizer

    name, revision = split_revision(model)
    try:
        network = CLIPModel.from_pretrained(name, revision=revision)
        tokenizer = CLIPTokenizer.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelError(f"There is no CLIP at {model}; give a hub id or a folder in {parameter}.") from error
    torch.nn.Module.to(network, device)
    return ClipScorer(network, tokenizer, f"CLIP {model}", batch_size)
