"""What the patch autoencoder's decoder adds to its linear part."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

# Two of its layers double the resolution, the last one brings the rest.
UPSAMPLED = 4


class _Mixing(nn.Module):
    """A residual block that looks far and has few weights (ConvNeXt, Liu et al. 2022); at first it adds nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = _zeroed(nn.Conv2d(2 * channels, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        mixed: Tensor = self.narrow(F.silu(self.widen(self.norm(self.spread(features)))))
        return features + mixed


class _Residual(nn.Module):
    """Two convolutions beside the identity; at first it adds nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = _zeroed(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        refined: Tensor = self.second(F.silu(self.first(F.silu(features))))
        return features + refined


def repair_network(
    latent_channels: int, widths: tuple[int, int, int], blocks: int, patch_size: int
) -> nn.Sequential:
    """A network from latents [B, C, h, w] to a correction [B, 3, p h, p w] of images; a new one corrects nothing.

    Most weights are at the latents' resolution, where one block sees half of a small image: what a patch leaves open is
    known from the object it belongs to. Edges are drawn at half of the image's resolution.

    Args:
        latent_channels: C.
        widths: at the latents' resolution, at twice and at four times that.
        blocks: at the latents' resolution.
        patch_size: p, divisible by four.
    """
    coarse, middle, fine = widths
    rest = patch_size // UPSAMPLED
    return nn.Sequential(
        nn.Conv2d(latent_channels, coarse, 3, padding=1),
        *(_Mixing(coarse) for _ in range(blocks)),
        nn.Conv2d(coarse, 4 * middle, 1),
        nn.PixelShuffle(2),
        _Residual(middle),
        nn.Conv2d(middle, 4 * fine, 1),
        nn.PixelShuffle(2),
        _Residual(fine),
        nn.SiLU(),
        _zeroed(nn.Conv2d(fine, 3 * rest**2, 3, padding=1)),
        nn.PixelShuffle(rest),
    )


def _zeroed(convolution: nn.Conv2d) -> nn.Conv2d:
    """With weights and biases of zero."""
    assert convolution.bias is not None
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return convolution
