"""A diffusion network read as a noise predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from placid_kedro.diffusion.schedule import NoiseSchedule


@dataclass(frozen=True, eq=False)
class NoisePredictor:
    """epsilon(x_t, t, embedding) of a diffusers UNet2DConditionModel, or of anything called like one.

    network: called as `network(x_t, t, encoder_hidden_states=..., return_dict=False, **extra)[0]`.
    schedule: its noise levels; v and sample predictions are converted to epsilon.
    """

    network: Callable[..., Any]
    schedule: NoiseSchedule

    def output(self, x_t: Tensor, t: Tensor, embedding: Tensor, extra: Mapping[str, Tensor]) -> Tensor:
        """What the network itself predicts at x_t [B,C,h,w], t [B], embedding [B,L,D], in x_t's dtype."""
        dtype = getattr(self.network, "dtype", x_t.dtype)
        raw = self.network(
            x_t.to(dtype), t, encoder_hidden_states=embedding.to(dtype), return_dict=False, **extra
        )
        return raw[0].to(x_t.dtype)

    def __call__(
        self, x_t: Tensor, t: Tensor, embeddings: Sequence[Tensor], extra: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """The noise in x_t [B,C,h,w] at t [B] for each of K embeddings [B,L,D], in one batched forward.

        extra: further keyword arguments of the network, [B,...], the same for each embedding.
        Returns K tensors [B,C,h,w] in x_t's dtype.
        """
        count = len(embeddings)
        x_t, t = torch.cat([x_t] * count), torch.cat([t] * count)
        repeated = {name: torch.cat([value] * count) for name, value in extra.items()}
        output = self.output(x_t, t, torch.cat(list(embeddings)), repeated)
        return self.schedule.to_epsilon(output, x_t, t).chunk(count)
