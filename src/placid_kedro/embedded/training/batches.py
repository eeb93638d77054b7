"""Batches as functions of their number and a generator: the same number gives the same batch in every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.embedded.training.caption_table import (
    CaptionTable,
    view_prior,
    views_by_sector,
)
from placid_kedro.embedded.training.config import TextShares
from placid_kedro.embedded.training.objectives import TextToImageBatch
from placid_kedro.embedded.training.posterior import posterior_mean
from placid_kedro.prompts.directions import VIEW_NAMES
from placid_kedro.randomness import device_generator


@dataclass(frozen=True)
class _Lists:
    """N lists of indices as a table.

    Attributes:
        values: [N, K] filled up with zeros.
        counts: [N] lengths of the lists.
    """

    values: Tensor
    counts: Tensor

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> _Lists:
        """Of N lists; an empty one can be held, not drawn from."""
        rows = [torch.tensor(one, dtype=torch.int64) for one in lists]
        return cls(pad_sequence(rows, batch_first=True), torch.tensor([len(one) for one in lists]))

    def pick(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """[B] one of each of the lists [B], uniformly."""
        places = torch.rand(len(rows), generator=generator) * self.counts[rows]
        return self.values[rows, places.long()]

    def log_mask(self, rows: Tensor) -> Tensor:
        """[B, K] zero where a list has a value, -inf behind its end."""
        filled = torch.arange(self.values.shape[1]) < self.counts[rows][:, None]
        return filled.float().log()


@dataclass(frozen=True)
class _Choices:
    """B captions, each with an image that it stands for.

    Attributes:
        empty: [B] whether there are no words.
        directed: [B] whether there are words of the view.
        captions: [B] places in `CaptionTable.by_caption`.
        facing: [B] places in `VIEW_NAMES`.
        images: [B] indices among all views of all objects.
    """

    empty: Tensor
    directed: Tensor
    captions: Tensor
    facing: Tensor
    images: Tensor


class TextToImageBatches:
    """Noisy latents with captions, and the mean of all the latents that each caption and noise admit.

    Args:
        latents: [N + P, V, C, h, w] of the vocabulary's objects, behind them of those in other colours.
        azimuths_deg: [V] of the views, the first the front.
        table: the objects' captions.
        contexts: [T, L, D] of `table.texts()`.
        schedule: noise levels.
        shares: how often which kind of caption is drawn.
        batch_size: latents a batch.
        device: where to.
    """

    def __init__(
        self,
        latents: Tensor,
        azimuths_deg: Tensor,
        table: CaptionTable,
        contexts: Tensor,
        schedule: NoiseSchedule,
        shares: TextShares,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.view_count = latents.shape[1]
        self.latents = latents.flatten(0, 1).to(device)
        self.table = table
        self.contexts = contexts.to(device)
        self.schedule = schedule
        self.shares = shares
        self.batch_size = batch_size
        self.device = device
        self.view_prior = view_prior(azimuths_deg, shares.views)
        self.sectors = _Lists.of([sector.tolist() for sector in views_by_sector(azimuths_deg)])
        self.facings = self.sectors.counts.nonzero().flatten()  # sides that some view shows
        self.any_view = self._any_view()
        self.log_all = (table.log_prior[:, None] + self.any_view.log()).flatten()
        place = {caption: index for index, caption in enumerate(table.by_caption)}
        self.names = _Lists.of(table.by_name)
        self.painted = _Lists.of(table.painted)
        self.captions = _Lists.of([[place[one] for one in own] for own in table.by_object])
        self.meant = torch.tensor(list(table.by_caption.values()))

    def __call__(self, number: int, generator: torch.Generator) -> TextToImageBatch:
        choices = self._choose(generator)
        last = self.schedule.num_timesteps - 1
        t = torch.randint(last + 1, (self.batch_size,), generator=generator)
        if float(torch.rand((), generator=generator)) < self.shares.pure_noise_share:
            t[0] = last  # where sampling starts, which uniform timesteps hardly ever meet
        t = t.to(self.device)
        clean = self.latents[choices.images.to(self.device)].float()
        noise = torch.randn(
            clean.shape, generator=device_generator(generator, self.device), device=self.device
        )
        x_t = self.schedule.add_noise(clean, noise, t)
        context = self.contexts[self._texts(choices).to(self.device)].float()
        return TextToImageBatch(x_t, t, context, self._targets(x_t, t, choices))

    def _choose(self, generator: torch.Generator) -> _Choices:
        count = self.batch_size
        kind = torch.rand(count, generator=generator)
        empty = kind < self.shares.empty
        directed = ~empty & (kind < self.shares.empty + self.shares.view_words)
        names = torch.randint(len(self.names.counts), (count,), generator=generator)
        objects = self.names.pick(names, generator)
        repaint = torch.rand(count, generator=generator) < self.shares.painted
        repaint &= ~empty & (self.painted.counts[objects] > 0)
        if repaint.any():
            objects[repaint] = self.painted.pick(objects[repaint], generator)
        captions = self.captions.pick(objects, generator)
        facing = self.facings[torch.randint(len(self.facings), (count,), generator=generator)]
        views = _views(self.view_prior, count, generator)
        views = torch.where(directed, self.sectors.pick(facing, generator), views)
        views = torch.where(empty, _views(self.any_view, count, generator), views)
        return _Choices(empty, directed, captions, facing, objects * self.view_count + views)

    def _any_view(self) -> Tensor:
        """[V] how often a view is drawn beside words: the empty caption stands for all that words stand for."""
        worded = 1 - self.shares.empty
        share = min(self.shares.view_words / worded, 1.0) if worded else 0.0
        shown = self.sectors.log_mask(self.facings).exp()
        each = shown / shown.sum(dim=1, keepdim=True) / len(self.facings)
        views = self.sectors.values[self.facings]
        directed = torch.zeros(self.view_count).index_add(0, views.flatten(), each.flatten())
        return share * directed + (1 - share) * self.view_prior

    def _texts(self, choices: _Choices) -> Tensor:
        """[B] rows of the contexts, in the order of `CaptionTable.texts`."""
        plain = 1 + choices.captions
        words = 1 + len(self.meant) + choices.captions * len(VIEW_NAMES) + choices.facing
        return torch.where(choices.empty, 0, torch.where(choices.directed, words, plain))

    def _targets(self, x_t: Tensor, t: Tensor, choices: _Choices) -> Tensor:
        """E[x_0 | x_t, text] for each of the batch."""
        every_view, view = torch.arange(self.view_count), self.view_prior.log()
        plain = ~choices.empty & ~choices.directed
        facing = choices.facing[choices.directed]
        targets = torch.empty_like(x_t)
        # The empty caption stands for all objects in their own colours.
        if choices.empty.any():
            known = self.latents[: len(self.log_all)].float()
            self._fill(targets, x_t, t, choices.empty, known, self.log_all)
        for rows, views, log_views in (
            (choices.directed, self.sectors.values[facing], self.sectors.log_mask(facing)),
            (plain, every_view.expand(int(plain.sum()), -1), view.expand(int(plain.sum()), -1)),
        ):
            candidates = self.meant[choices.captions[rows]][:, None] * self.view_count + views
            known = self.latents[candidates.to(self.device)].float()
            self._fill(targets, x_t, t, rows, known, log_views)
        return targets

    def _fill(
        self, targets: Tensor, x_t: Tensor, t: Tensor, rows: Tensor, known: Tensor, log_prior: Tensor
    ) -> None:
        """Write the rows' posterior means into the targets."""
        rows = rows.to(self.device)
        a_t, s_t = self.schedule.a(t[rows]).flatten(), self.schedule.s(t[rows]).flatten()
        targets[rows] = posterior_mean(x_t[rows], a_t, s_t, known, log_prior.to(self.device))


def _views(prior: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.multinomial(prior, count, replacement=True, generator=generator)
