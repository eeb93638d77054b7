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


def device_generator(generator: torch.Generator, device: torch.device) -> torch.Generator:
    """A generator on a device, of the next number of one on the CPU; on the CPU that one itself.

    Noise for batches of a GPU's size is drawn where it is needed: a CPU takes longer than the network.
    """
    import torch

    if device.type == "cpu":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)
