"""The embedded image-text scorer: renders and names in one space. It never guides a generation."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.diffusion.loading import load_component
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.errors import ModelError, ShapeError

NAMES = "names.txt"


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        residual: Tensor = self.body(features)
        return features + residual


class ImageScorer(ModelMixin, ConfigMixin):
    """A convolutional image encoder trained against MiniLM's embeddings of the objects' captions.

    Args:
        image_size: side of its images in pixels.
        channels: widths of its stages; each halves the resolution.
        embedding: width of the common space.
        text_embedding: width of the sentence embeddings.
    """

    @register_to_config
    def __init__(
        self,
        image_size: int = 128,
        channels: tuple[int, ...] = (32, 64, 128, 192),
        embedding: int = 192,
        text_embedding: int = 384,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        layers: list[nn.Module] = []
        before = 3
        for index, width in enumerate(channels):
            side = 4 if index == 0 else 2
            layers += [nn.Conv2d(before, width, side, stride=side), _Residual(width)]
            before = width
        self.trunk = nn.Sequential(*layers, nn.GroupNorm(8, before), nn.SiLU())
        self.image_head = nn.Linear(2 * before, embedding)
        self.text_head = nn.Linear(text_embedding, embedding, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(2.5))

    def embed_images(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [0, 1] over white to [N, E] of unit length.

        Raises:
            ShapeError: for images of another shape.
        """
        features = self.trunk(self._pixels(images))
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        return F.normalize(self.image_head(pooled).float(), dim=-1)

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Images [N, 3, H, W] in [0, 1] over white to the output of every stage, [N, C, h, w] each.

        Raises:
            ShapeError: for images of another shape.
        """
        features, maps = self._pixels(images), []
        for layer in self.trunk:
            features = layer(features)
            if isinstance(layer, _Residual):
                maps.append(features)
        return maps

    def _pixels(self, images: Tensor) -> Tensor:
        """What the trunk takes: images of its own size in [-1, 1]."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(f"The scorer takes images [N, 3, H, W], got {list(images.shape)}.")
        size = self.image_size
        if images.shape[-2:] != (size, size):
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return images * 2 - 1

    def embed_texts(self, sentence_embeddings: Tensor) -> Tensor:
        """MiniLM's sentence embeddings [T, 384] to [T, E] of unit length."""
        return F.normalize(self.text_head(sentence_embeddings).float(), dim=-1)

    @torch.no_grad()
    def similarities(self, images: Tensor, texts: list[str]) -> Tensor:
        """Cosine similarity of every image and text, [N, T] in [-1, 1]."""
        return self.embed_images(images) @ self.embed_texts(MiniLMTextEncoder().sentence_embeddings(texts)).T

    def score(self, images: Tensor, text: str) -> float:
        """Mean cosine similarity of an object's images [N, 3, H, W] and a text."""
        return float(self.similarities(images, [text]).mean())


def load_scorer(folder: Path) -> ImageScorer:
    """The scorer of a model folder, in evaluation mode on the CPU.

    Raises:
        ModelError: when the folder is incomplete or its scorer is another class.
    """
    scorer = load_component(folder, "scorer")
    if not isinstance(scorer, ImageScorer):
        raise ModelError(f"The scorer in {folder} is a {type(scorer).__name__}, not an ImageScorer.")
    return scorer


def known_names(folder: Path) -> tuple[str, ...]:
    """The names that a scorer was trained on, from `names.txt` in its folder, one a line.

    Raises:
        ModelError: when the file is missing or holds no name.
    """
    path = folder / NAMES
    try:
        names = tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is missing or no text; the scorer's folder needs it.") from error
    if not names:
        raise ModelError(f"{path} holds no names; the scorer's folder needs those it was trained on.")
    return names
