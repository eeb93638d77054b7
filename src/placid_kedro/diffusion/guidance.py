"""Classifier-free guidance."""

from __future__ import annotations

from torch import Tensor


def guide(outputs: Tensor, guidance_scale: float) -> Tensor:
    """u + s (c - u) of a batch [2 B, ...] whose first half is unconditional: [B, ...].

    Linear, so it may be applied to noise, v or sample predictions alike.
    """
    unconditional, conditional = outputs.chunk(2)
    return unconditional + guidance_scale * (conditional - unconditional)
