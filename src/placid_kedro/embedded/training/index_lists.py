"""Lists of indices of unequal length, to draw from many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True)
class IndexLists:
    """N lists of indices as a table.

    Attributes:
        values: [N, K] filled up with zeros.
        counts: [N] lengths of the lists.
    """

    values: Tensor
    counts: Tensor

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> IndexLists:
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
