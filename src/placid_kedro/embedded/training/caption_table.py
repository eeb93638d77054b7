"""Which captions an object may get, how likely each is, and therefore which images a caption may stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
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

    All of them uniformly, so an object of a frequent name is no more frequent than another name's only one.

    Attributes:
        by_name: objects (positions in the vocabulary) of each name.
        by_object: captions of each object, and of the painted ones behind them.
        by_caption: objects that a caption may stand for, with the logarithm of how often it is drawn for each.
        log_prior: [N] logarithm of how often each object is drawn.
        painted: objects (positions behind the N) that show each of the N in another colour.
    """

    by_name: tuple[tuple[int, ...], ...]
    by_object: tuple[tuple[str, ...], ...]
    by_caption: dict[str, tuple[tuple[int, ...], Tensor]]
    log_prior: Tensor
    painted: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls,
        named: Iterable[tuple[str, Sequence[str]]],
        paintings: Sequence[tuple[int, str]] = (),
        painted_share: float = 0.0,
    ) -> CaptionTable:
        """The table of N objects.

        Args:
            named: by name and adjectives.
            paintings: of these objects in other colours: which, and the colour's word.
            painted_share: how often one of them stands for its object.
        """
        objects = [(normal_name(name), captions(name, adjectives)) for name, adjectives in named]
        by_name: dict[str, list[int]] = defaultdict(list)
        for index, (name, _) in enumerate(objects):
            by_name[name].append(index)
        prior = torch.tensor([1 / len(by_name) / len(by_name[name]) for name, _ in objects])
        painted: list[list[int]] = [[] for _ in objects]
        for row, (index, _) in enumerate(paintings, start=len(objects)):
            painted[index].append(row)
        own = [captions for _, captions in objects]
        own += [(with_article(f"{color} {objects[index][0]}"),) for index, color in paintings]
        often = [float(p) * (1 - painted_share * bool(rows)) for p, rows in zip(prior, painted, strict=True)]
        often += [float(prior[index]) * painted_share / len(painted[index]) for index, _ in paintings]
        holders: dict[str, list[int]] = defaultdict(list)
        for row, captions_of_row in enumerate(own):
            for caption in captions_of_row:
                holders[caption].append(row)
        by_caption = {
            caption: (tuple(held), torch.tensor([often[row] / len(own[row]) for row in held]).log())
            for caption, held in holders.items()
        }
        return cls(
            tuple(tuple(members) for members in by_name.values()),
            tuple(own),
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
