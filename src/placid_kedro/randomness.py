"""Random generators of the stages."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def stage_generator(seed: int, stage: str) -> torch.Generator:
    """A generator of a stage's own, on the CPU: another stage's settings do not change its numbers."""
    import torch

    digest = hashlib.sha256(f"{seed}/{stage}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
