"""Batches as functions of their number and a generator: the same number gives the same batch in every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.embedded.training.caption_table import (
    CaptionTable,
    directed_caption,
    view_prior,
    views_by_sector,
)
from placid_kedro.embedded.training.config import TextShares
from placid_kedro.embedded.training.objectives import TextToImageBatch
from placid_kedro.embedded.training.posterior import posterior_mean

T = TypeVar("T")


@dataclass(frozen=True)
class _Choice:
    """A caption, an image that it stands for, and all that it may stand for.

    Attributes:
        text: the caption.
        image: index among all views of all objects.
        candidates: [K] such indices; None stands for all of them.
        log_prior: [K] how likely each is, given the text.
    """

    text: str
    image: int
    candidates: Tensor | None
    log_prior: Tensor


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
        self.row = {text: index for index, text in enumerate(table.texts())}
        self.schedule = schedule
        self.shares = shares
        self.batch_size = batch_size
        self.device = device
        self.sectors = views_by_sector(azimuths_deg)
        self.view_prior = view_prior(azimuths_deg, shares.views)
        self.log_all = (table.log_prior[:, None] + self.view_prior.log()).flatten()

    def __call__(self, number: int, generator: torch.Generator) -> TextToImageBatch:
        choices = [self._choose(generator) for _ in range(self.batch_size)]
        images = torch.tensor([choice.image for choice in choices], device=self.device)
        last = self.schedule.num_timesteps - 1
        t = torch.randint(last + 1, (self.batch_size,), generator=generator)
        if float(torch.rand((), generator=generator)) < self.shares.pure_noise_share:
            t[0] = last  # where sampling starts, which uniform timesteps hardly ever meet
        t = t.to(self.device)
        clean = self.latents[images].float()
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        x_t = self.schedule.add_noise(clean, noise, t)
        context = self.contexts[[self.row[choice.text] for choice in choices]].float()
        return TextToImageBatch(x_t, t, context, self._targets(x_t, t, choices))

    def _choose(self, generator: torch.Generator) -> _Choice:
        kind = float(torch.rand((), generator=generator))
        index = _pick(_pick(self.table.by_name, generator), generator)
        if kind < self.shares.empty:
            view = int(torch.multinomial(self.view_prior, 1, generator=generator))
            return _Choice("", index * self.view_count + view, None, self.log_all)
        if self.table.painted[index] and float(torch.rand((), generator=generator)) < self.shares.painted:
            index = _pick(self.table.painted[index], generator)
        caption = _pick(self.table.by_object[index], generator)
        objects, log_objects = self.table.by_caption[caption]
        if kind < self.shares.empty + self.shares.view_words:
            facing = int(torch.randint(len(self.sectors), (), generator=generator))
            views = self.sectors[facing]
            view = int(views[torch.randint(len(views), (), generator=generator)])
            log_views = torch.zeros(len(views))
            caption = directed_caption(caption, facing)
        else:
            views = torch.arange(self.view_count)
            view = int(torch.multinomial(self.view_prior, 1, generator=generator))
            log_views = self.view_prior.log()
        candidates = (torch.tensor(objects)[:, None] * self.view_count + views).flatten()
        log_prior = (log_objects[:, None] + log_views).flatten()
        return _Choice(caption, index * self.view_count + view, candidates, log_prior)

    def _targets(self, x_t: Tensor, t: Tensor, choices: Sequence[_Choice]) -> Tensor:
        """E[x_0 | x_t, text] for each of the batch."""
        a_t, s_t = self.schedule.a(t).flatten(), self.schedule.s(t).flatten()
        targets = torch.empty_like(x_t)
        for row, choice in enumerate(choices):
            # The empty caption stands for all objects in their own colours.
            known = (
                self.latents[: len(self.log_all)].float()
                if choice.candidates is None
                else self.latents[choice.candidates.to(self.device)].float()
            )
            one = slice(row, row + 1)
            log_prior = choice.log_prior.to(self.device)
            targets[one] = posterior_mean(x_t[one], a_t[one], s_t[one], known, log_prior)
        return targets


def _pick(options: Sequence[T], generator: torch.Generator) -> T:
    """One of a sequence, uniformly."""
    return options[int(torch.randint(len(options), (), generator=generator))]
