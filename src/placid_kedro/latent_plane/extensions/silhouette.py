"""What the density knows beyond the UNet's feature maps: the inside of their texels, and the reference's silhouette."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_HIDDEN_CHANNELS = 96
_NORM_GROUPS = 8
_HEAD_WIDTH = 8
# Raw densities are tens; the head's own numbers stay near one.
_HEAD_SCALE = 20.0


def signed(silhouette: Tensor) -> Tensor:
    """Coverage in [0, 1] as 1 where it is full and -1 where it is empty; 0 then means unknown."""
    return 2 * silhouette - 1


def silhouette_texels(silhouette: Tensor, factor: int, num_views: int) -> Tensor:
    """[N, s^2, H, W] the signed pixels of the first view's silhouette [sH, sW] in each texel, zero for the others."""
    first = F.pixel_unshuffle(signed(silhouette)[None, None], factor)
    return torch.cat([first, first.new_zeros(num_views - 1, *first.shape[1:])])


def signed_coverage(silhouette: Tensor, pixels: int) -> Tensor:
    """[sH / pixels, sW / pixels] mean of the signed silhouette [sH, sW] over squares of `pixels`."""
    return F.avg_pool2d(signed(silhouette)[None, None].float(), pixels)[0, 0]


class FineDetail(nn.Module):
    """Upsamples maps and adds the detail that convolutions read from the features they were projected from, and from
    the reference's silhouette.

    A feature map of a latent diffusion model has one texel for eight by eight pixels, and its channels hold more of
    them than their mean. The detail is zero in a new module: maps are upsampled bilinearly.

    Args:
        feature_channels: C of the feature maps.
        silhouette_channels: S pixels of the silhouette in a texel; 0 for none.
        channels: c of the maps.
        factor: r, at least 1.
    """

    def __init__(self, feature_channels: int, silhouette_channels: int, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.norm_in = nn.GroupNorm(1, feature_channels)
        self.conv_in = nn.Conv2d(
            feature_channels + silhouette_channels, _HIDDEN_CHANNELS, kernel_size=3, padding=1
        )
        self.norm_middle = nn.GroupNorm(_NORM_GROUPS, _HIDDEN_CHANNELS)
        self.conv_middle = nn.Conv2d(_HIDDEN_CHANNELS, _HIDDEN_CHANNELS, kernel_size=3, padding=1)
        self.norm_out = nn.GroupNorm(_NORM_GROUPS, _HIDDEN_CHANNELS)
        self.conv_out = nn.Conv2d(_HIDDEN_CHANNELS, channels * factor**2, kernel_size=1)
        nn.init.zeros_(self.conv_out.weight)
        assert self.conv_out.bias is not None
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, maps: Tensor, features: Tensor, silhouette: Tensor) -> Tensor:
        """Finer maps.

        Args:
            maps: [N, c, H, W].
            features: [N, C, H, W] they were projected from.
            silhouette: [N, S, H, W] in [-1, 1], zero where it is not known.

        Returns:
            [N, c, rH, rW].
        """
        hidden = self.conv_in(torch.cat([F.silu(self.norm_in(features)), silhouette], dim=1))
        hidden = hidden + self.conv_middle(F.silu(self.norm_middle(hidden)))
        detail = self.conv_out(F.silu(self.norm_out(hidden)))
        upsampled = F.interpolate(maps, scale_factor=float(self.factor), mode="bilinear", align_corners=False)
        return upsampled + F.pixel_shuffle(detail, self.factor)


class SilhouetteHead(nn.Module):
    """What is added to a point's raw density for where it falls in the reference's silhouette.

    A point outside the silhouette is in nobody's inside (Laurentini 1994), which a blend of all views' tokens says
    only faintly. A learned function of one number, zero in a new module.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, _HEAD_WIDTH)
        self.out = nn.Linear(_HEAD_WIDTH, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, coverage: Tensor) -> Tensor:
        """[P] of signed coverage [P], 1 inside and -1 outside the silhouette."""
        added: Tensor = _HEAD_SCALE * self.out(F.silu(self.hidden(coverage[:, None])))[:, 0]
        return added
