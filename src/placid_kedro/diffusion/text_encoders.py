"""Prompts to cross-attention context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class TextEncoder(Protocol):
    """Prompts [B] to their context [B, L, D], L the same for every call."""

    def __call__(self, prompts: Sequence[str]) -> Tensor: ...


@dataclass(frozen=True)
class ClipTextEncoder:
    """Stable Diffusion's prompts: CLIP's last hidden states, padded to the tokenizer's length.

    Attributes:
        tokenizer: a `CLIPTokenizer`.
        network: a `CLIPTextModel`.
    """

    tokenizer: Any
    network: Any

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """[B, 77, D] on the network's device."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        context: Tensor = self.network(tokens.input_ids.to(self.network.device))[0]
        return context
