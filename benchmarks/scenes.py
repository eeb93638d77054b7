"""Gaussians that benchmarks render."""

from __future__ import annotations

import torch
from torch import Tensor


def hollow_ball(count: int) -> list[Tensor]:
    """means, quats, scales, opacities and colors of Gaussians on a sphere, 1 to 3 pixels wide at 128 px."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    leaves = [
        directions * (0.4 + 0.04 * torch.randn(count, 1, generator=generator)),
        torch.randn(count, 4, generator=generator),
        0.015 * torch.exp(0.4 * torch.randn(count, 3, generator=generator)),
        0.05 + 0.9 * torch.rand(count, generator=generator),
        torch.rand(count, 3, generator=generator),
    ]
    return [leaf.requires_grad_() for leaf in leaves]
