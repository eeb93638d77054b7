"""What every room does with images."""

from __future__ import annotations

from torch import Tensor


def over_white(rgba: Tensor) -> Tensor:
    """Images with straight alpha [..., 4, H, W] over white: [..., 3, H, W]."""
    rgb, alpha = rgba[..., :3, :, :], rgba[..., 3:, :, :]
    return rgb * alpha + (1 - alpha)
