"""The image-text scorer learns to tell the names of objects apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.embedded.networks.scorer import ImageScorer
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.training.captions import captions
from placid_kedro.embedded.training.config import ScorerParameters
from placid_kedro.embedded.training.split import CuratedObject
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.objects.split import normal_name
from placid_kedro.training.loop import Objective

# Sides, as a share of the image's, through which blurred images go.
_BLURRED_SIDES = (0.125, 0.1875, 0.25, 0.375)


@dataclass(frozen=True)
class ScorerBatch:
    """B images, and one caption for each of K names.

    Attributes:
        images: [B, 3, H, W] in [0, 1].
        names: [B] int64, index of each image's name.
        sentences: [K, 384] sentence embeddings.
    """

    images: Tensor
    names: Tensor
    sentences: Tensor


class ScorerBatches:
    """Names uniformly, then an object of that name, then a view of it.

    Args:
        views: of the trained objects.
        objects: the same, with names and adjectives.
        parameters: of the scorer.
        batch_size: images a batch.
        device: where to.

    Attributes:
        names: K names in alphabetical order.
    """

    def __init__(
        self,
        views: ViewArrays,
        objects: Sequence[CuratedObject],
        parameters: ScorerParameters,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.views = views
        self.parameters = parameters
        self.batch_size = batch_size
        self.device = device
        members: dict[str, list[int]] = defaultdict(list)
        for index, one in enumerate(objects):
            members[normal_name(one.name)].append(index)
        self.names = tuple(sorted(members))
        self._members = [members[name] for name in self.names]
        # Adjectives of one object are not true of another one with its name.
        texts = [
            captions(name, objects[own[0]].adjectives if len(own) == 1 else ())
            for name, own in zip(self.names, self._members, strict=True)
        ]
        encoder = MiniLMTextEncoder()
        self._sentences = [encoder.sentence_embeddings(own).to(device) for own in texts]

    def __call__(self, number: int, generator: torch.Generator) -> ScorerBatch:
        names = torch.randint(len(self.names), (self.batch_size,), generator=generator)
        objects = [
            self._members[name][int(torch.randint(len(self._members[name]), (), generator=generator))]
            for name in names.tolist()
        ]
        views = torch.randint(self.views.view_count, (self.batch_size,), generator=generator)
        images = distort(self.views.images(objects, views.numpy()), self.parameters, generator)
        sentences = [own[int(torch.randint(len(own), (), generator=generator))] for own in self._sentences]
        return ScorerBatch(images.to(self.device), names.to(self.device), torch.stack(sentences))


def distort(images: Tensor, parameters: ScorerParameters, generator: torch.Generator) -> Tensor:
    """What splats and small diffusion models do to images [B, 3, H, W] over white: move, blur, noise, tint."""
    count, size = len(images), images.shape[-1]

    def uniform(*shape: int) -> Tensor:
        """In [-1, 1]."""
        return torch.rand(shape, generator=generator) * 2 - 1

    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0] = transform[:, 1, 1] = 1 + parameters.scale * uniform(count)
    transform[:, :, 2] = parameters.shift * uniform(count, 2)
    grid = F.affine_grid(transform, list(images.shape), align_corners=False)
    images = 1 - F.grid_sample(1 - images, grid, align_corners=False)
    if float(torch.rand((), generator=generator)) < parameters.blur_share:
        share = _BLURRED_SIDES[int(torch.randint(len(_BLURRED_SIDES), (), generator=generator))]
        side = max(1, round(share * size))
        small = F.interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False)
        images = F.interpolate(small, (size, size), mode="bilinear", align_corners=False)
    level = parameters.noise * torch.rand((), generator=generator)
    images = images + level * torch.randn(images.shape, generator=generator)
    return (images * (1 + parameters.colour_cast * uniform(count, 3, 1, 1))).clamp(0, 1)


class ScorerObjective(Objective):
    """Cross-entropy of each image over all names.

    Args:
        network: the scorer.
        parameters: its smoothing and temperature.
    """

    network: Any  # diffusers' base class has no types

    def __init__(self, network: ImageScorer, parameters: ScorerParameters) -> None:
        super().__init__()
        self.network = network
        self.label_smoothing = parameters.label_smoothing
        self.max_temperature = parameters.max_temperature

    def trained_parameters(self) -> list[nn.Parameter]:
        """All of the scorer's."""
        return list(self.network.parameters())

    def forward(self, batch: ScorerBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses and accuracies on one batch."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        image_embeddings = self.network.embed_images(images).float()
        text_embeddings = self.network.embed_texts(batch.sentences).float()
        temperature = self.network.log_temperature.exp().clamp(max=self.max_temperature)
        logits = image_embeddings @ text_embeddings.T * temperature
        loss = F.cross_entropy(logits.float(), batch.names, label_smoothing=self.label_smoothing)
        best = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices == batch.names[:, None]
        return {"loss": loss, "top1": best[:, 0].float().mean(), "top5": best.any(dim=1).float().mean()}
