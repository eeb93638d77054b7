"""Batches of the novel-view model: references, and some views of the same objects that are wanted of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.embedded.training.config import NovelViewParameters, ReferenceShares
from placid_kedro.embedded.training.copies import ObjectCopy
from placid_kedro.embedded.training.objectives import NovelViewBatch

_WANTED_RING = 8


@dataclass(frozen=True, eq=False)
class NovelViewSource:
    """All that the novel-view model learns from.

    Attributes:
        copies: of all N trained objects.
        made: copies of objects made by chance.
        made_share: of the references that show one of them.
        vocabulary_rows: indices of the vocabulary's objects.
        ring: the first so many views are evenly spaced in azimuth at one elevation, from the front on; the later ones
            have the same azimuths, again from the front on.
        focal: of all cameras, in image widths.
    """

    copies: Sequence[ObjectCopy]
    made: Sequence[ObjectCopy]
    made_share: float
    vocabulary_rows: Tensor
    ring: int
    focal: float

    def batches(
        self, parameters: NovelViewParameters, batch_size: int, device: torch.device
    ) -> NovelViewBatches:
        """Batches of so many wanted views."""
        return NovelViewBatches(self, parameters.shares, batch_size, parameters.wanted_views, device)


class NovelViewBatches:
    """References and wanted views, the vocabulary's objects more often than the others.

    Args:
        source: of the views.
        shares: how often which kind of reference and view is drawn.
        batch_size: wanted views a batch.
        wanted_views: of each reference.
        device: where to.
    """

    def __init__(
        self,
        source: NovelViewSource,
        shares: ReferenceShares,
        batch_size: int,
        wanted_views: int,
        device: torch.device,
    ) -> None:
        self.source = source
        self.shares = shares
        self.references = batch_size // wanted_views
        self.wanted_views = wanted_views
        self.device = device

    def __call__(self, number: int, generator: torch.Generator) -> NovelViewBatch:
        drawn = [self._reference(generator) for _ in range(self.references)]
        parts = [torch.stack(part).to(self.device) for part in zip(*drawn, strict=True)]
        return NovelViewBatch(*parts)

    def _reference(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The parts of a `NovelViewBatch` for one reference."""
        copy, index = self._object(generator)
        reference, wanted = self._views(copy.latents.shape[1], generator)
        latents, cameras = copy.latents[index], copy.world_to_camera[index]
        return (
            latents[wanted].float(),
            copy.coverage_of(index, wanted),
            latents[reference].float(),
            cameras[reference],
            cameras[wanted],
        )

    def _object(self, generator: torch.Generator) -> tuple[ObjectCopy, int]:
        """A copy, and which of its objects."""
        source = self.source
        if self._chance(source.made_share, generator):
            copy = source.made[self._below(len(source.made), generator)]
            return copy, self._below(len(copy.latents), generator)
        count = len(source.copies[0].latents)
        index = int(pick_object(count, source.vocabulary_rows, self.shares.vocabulary, generator))
        return source.copies[self._below(len(source.copies), generator)], index

    def _views(self, count: int, generator: torch.Generator) -> tuple[int, Tensor]:
        """Reference and wanted views of `count`."""
        ring = self.source.ring
        reference = 0 if self._chance(self.shares.front, generator) else self._below(count, generator)
        if not self._chance(self.shares.eighths, generator):
            return reference, torch.randperm(count, generator=generator)[: self.wanted_views]
        # The paper's eight views, counted from the reference's azimuth on.
        step = max(1, ring // _WANTED_RING)
        turns = torch.randperm(ring // step, generator=generator)[: self.wanted_views]
        return reference, (reference + step * turns) % ring

    @staticmethod
    def _chance(share: float, generator: torch.Generator) -> bool:
        return float(torch.rand((), generator=generator)) < share

    @staticmethod
    def _below(bound: int, generator: torch.Generator) -> int:
        return int(torch.randint(bound, (), generator=generator))


def pick_object(
    count: int, vocabulary_rows: Tensor, vocabulary_share: float, generator: torch.Generator
) -> Tensor:
    """One of the vocabulary so often, any of all `count` objects otherwise; a scalar index."""
    if float(torch.rand((), generator=generator)) < vocabulary_share:
        return vocabulary_rows[torch.randint(len(vocabulary_rows), (), generator=generator)]
    return torch.randint(count, (), generator=generator)
