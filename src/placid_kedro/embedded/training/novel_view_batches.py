"""Batches of the novel-view model: references, and some views of the same objects that are wanted of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from placid_kedro.embedded.training.config import NovelViewParameters, ReferenceShares
from placid_kedro.embedded.training.copies import ObjectCopy
from placid_kedro.embedded.training.drawn import DrawnViews
from placid_kedro.embedded.training.objectives import NovelViewBatch

_WANTED_RING = 8


@dataclass(frozen=True, eq=False)
class NovelViewSource:
    """All that the novel-view model learns from.

    Attributes:
        copies: of all N trained objects.
        made: copies of objects made by chance.
        made_share: of the references that show one of them.
        painted: objects of the vocabulary in other colours.
        drawn: fronts of the vocabulary's objects as the text-to-image model draws them.
        vocabulary_rows: indices of the vocabulary's objects.
        ring: the first so many views are evenly spaced in azimuth at one elevation, from the front on; those between
            them and the lower ring have the same azimuths, again from the front on.
        lower_ring: the last so many views are those that `generate` draws from further down; no reference is one of
            them.
        focal: of all cameras, in image widths.
    """

    copies: Sequence[ObjectCopy]
    made: Sequence[ObjectCopy]
    made_share: float
    painted: ObjectCopy
    drawn: DrawnViews
    vocabulary_rows: Tensor
    ring: int
    lower_ring: int
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
        self.copies = [copy.to(device) for copy in (*source.copies, source.painted, *source.made)]
        self.lengths = torch.tensor([len(copy.latents) for copy in self.copies])

    def __call__(self, number: int, generator: torch.Generator) -> NovelViewBatch:
        copies, objects = self._objects(generator)
        drawn, fronts = self._drawn(copies, generator)
        copies[drawn], objects[drawn] = 0, self.source.drawn.objects[fronts]
        reference, wanted = self._views(self.copies[0].latents.shape[1], drawn, generator)
        order: list[Tensor] = []
        parts = []
        for number_of_copy in copies.unique().tolist():
            rows = (copies == number_of_copy).nonzero().flatten()
            parts.append(self.copies[number_of_copy].batch(objects[rows], reference[rows], wanted[rows]))
            order.append(rows)
        back = torch.cat(order).argsort().to(parts[0].latents.device)
        joined = (torch.cat([getattr(part, name) for part in parts])[back] for name in vars(parts[0]))
        batch = NovelViewBatch(*joined)
        references = batch.reference.clone()
        references[drawn.to(references.device)] = self.source.drawn.latents[fronts].to(references)
        return replace(batch, reference=references)

    def _drawn(self, copies: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """[R] which references of objects in their own colours are drawn fronts, and the [D] fronts."""
        count = len(self.source.drawn)
        if not count:
            return torch.zeros(self.references, dtype=torch.bool), torch.zeros(0, dtype=torch.int64)
        own = copies < len(self.source.copies)
        drawn = own & self._chance(self.shares.drawn, generator)
        return drawn, torch.randint(count, (int(drawn.sum()),), generator=generator)

    def _objects(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """[R] copies, and [R] which of their objects."""
        source, count = self.source, self.references
        made = self._chance(source.made_share, generator)
        copies = torch.randint(len(source.copies), (count,), generator=generator)
        painted = self._chance(self.shares.painted, generator) & (len(source.painted.latents) > 0)
        copies = torch.where(painted, len(source.copies), copies)
        if source.made:
            of_made = torch.randint(len(source.made), (count,), generator=generator)
            copies = torch.where(made, len(source.copies) + 1 + of_made, copies)
        objects = (torch.rand(count, generator=generator) * self.lengths[copies]).long()
        rows = source.vocabulary_rows
        known = rows[torch.randint(len(rows), (count,), generator=generator)]
        favourite = self._chance(self.shares.vocabulary, generator) & ~made & ~painted
        return copies, torch.where(favourite, known, objects)

    def _views(self, views: int, drawn: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """[R] references and [R, K] wanted views, of so many; drawn references are fronts."""
        count, wanted_views, ring = self.references, self.wanted_views, self.source.ring
        above = views - self.source.lower_ring
        anywhere = torch.randint(above, (count,), generator=generator)
        reference = torch.where(self._chance(self.shares.front, generator) | drawn, 0, anywhere)

        def of(ring: int) -> Tensor:
            return torch.rand(count, ring, generator=generator).argsort(dim=1)[:, :wanted_views]

        # The paper's eight views, counted from the reference's azimuth on.
        step = max(1, ring // _WANTED_RING)
        eighths = (reference[:, None] + step * of(ring // step)) % ring
        lower = above + of(self.source.lower_ring)
        kind = torch.rand(count, 1, generator=generator)
        lower_or_any = torch.where(kind < self.shares.eighths + self.shares.lower_ring, lower, of(views))
        return reference, torch.where(kind < self.shares.eighths, eighths, lower_or_any)

    def _chance(self, share: float, generator: torch.Generator) -> Tensor:
        """[R] true so often."""
        return torch.rand(self.references, generator=generator) < share
