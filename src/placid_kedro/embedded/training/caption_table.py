"""Which captions an object gets, and how often each is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.embedded.training.captions import captions, with_article
from placid_kedro.embedded.training.config import ViewPrior
from placid_kedro.objects.split import normal_name
from placid_kedro.prompts.directions import VIEW_NAMES, sector


@dataclass(frozen=True)
class CaptionTable:
    """The captions of the vocabulary, as drawn by: a name, an object of that name, a caption of that object.

    All of them uniformly, so an object of a frequent name is no more frequent than another name's only one. A caption
    means one object, since a small model asked for one of several chairs draws a mixture of all: of those that could
    have it the last in its own colours, or else the last that is painted so.

    Attributes:
        by_name: objects (positions in the vocabulary) of each name, but for those that are left without a caption.
        by_object: captions of each object, and of the painted ones behind them.
        by_caption: the object that each caption means.
        log_prior: [N] logarithm of how often each object is drawn, -inf for one without a caption.
        painted: objects (positions behind the N) that show each of the N in another colour and have a caption.
    """

    by_name: tuple[tuple[int, ...], ...]
    by_object: tuple[tuple[str, ...], ...]
    by_caption: dict[str, int]
    log_prior: Tensor
    painted: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, named: Iterable[tuple[str, Sequence[str]]], paintings: Sequence[tuple[int, str]] = ()
    ) -> CaptionTable:
        """The table of N objects.

        Args:
            named: by name and adjectives.
            paintings: of these objects in other colours: which, and the colour's word.
        """
        objects = [(normal_name(name), captions(name, adjectives)) for name, adjectives in named]
        count = len(objects)
        possible = [could for _, could in objects]
        possible += [(with_article(f"{color} {objects[index][0]}"),) for index, color in paintings]
        by_caption = dict(_meant(possible, count))
        own = tuple(
            tuple(caption for caption in could if by_caption[caption] == row)
            for row, could in enumerate(possible)
        )
        by_name: dict[str, list[int]] = defaultdict(list)
        for row, (name, _) in enumerate(objects):
            if own[row]:
                by_name[name].append(row)
        prior = torch.zeros(count)
        for members in by_name.values():
            prior[members] = 1 / len(by_name) / len(members)
        painted: list[list[int]] = [[] for _ in objects]
        for row, (index, _) in enumerate(paintings, start=count):
            if own[row]:
                painted[index].append(row)
        return cls(
            tuple(tuple(members) for members in by_name.values()),
            own,
            by_caption,
            prior.log(),
            tuple(tuple(rows) for rows in painted),
        )

    def texts(self) -> tuple[str, ...]:
        """Every text that a batch may hold: the empty one, the captions, and these with each view's words."""
        directed = [
            directed_caption(caption, view) for caption in self.by_caption for view in range(len(VIEW_NAMES))
        ]
        return ("", *self.by_caption, *directed)


def _meant(possible: Sequence[Sequence[str]], count: int) -> Iterator[tuple[str, int]]:
    """Each caption and the object that it means, of objects by the captions that they could have.

    Args:
        possible: captions of the objects, those of the painted ones behind them.
        count: how many are in their own colours.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    for row, could in enumerate(possible):
        for caption in could:
            holders[caption].append(row)
    for caption, rows in holders.items():
        yield caption, max([row for row in rows if row < count] or rows)


def directed_caption(caption: str, view: int) -> str:
    """A caption with the words of one of `VIEW_NAMES`."""
    return f"{caption}, {VIEW_NAMES[view]} view"


def views_by_sector(azimuths_deg: Tensor) -> tuple[Tensor, ...]:
    """Indices of the views in each of the eight sectors of `VIEW_NAMES`."""
    sectors = torch.tensor([sector(float(azimuth)) for azimuth in azimuths_deg])
    return tuple((sectors == index).nonzero().flatten() for index in range(len(VIEW_NAMES)))


def view_prior(azimuths_deg: Tensor, parameters: ViewPrior) -> Tensor:
    """[V] how often each view illustrates a caption without view words; they sum to 1.

    Args:
        azimuths_deg: [V] in [0, 360), the first of them the front.
        parameters: of the prior.
    """
    turn = torch.minimum(azimuths_deg, 360 - azimuths_deg)
    spread = torch.where(turn <= parameters.oblique_deg, parameters.oblique_weight, 1.0)
    spread = spread / spread.sum()
    prior = (1 - parameters.front_share - parameters.other_front_share) * spread
    other_fronts = (turn == 0).nonzero().flatten()[1:]
    prior[0] += parameters.front_share
    if len(other_fronts):
        prior[other_fronts] += parameters.other_front_share / len(other_fronts)
    return prior / prior.sum()
