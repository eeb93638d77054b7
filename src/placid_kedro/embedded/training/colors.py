"""Everyday names of colours, and objects painted in others: so that "a blue teddy bear" is one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.embedded.training.split import CuratedObject
from placid_kedro.objects.split import normal_name

# [3] each: the colour that a word is painted with; shades of it follow the object's own shading.
_PAINT = {
    "black": (0.13, 0.13, 0.13),
    "white": (0.90, 0.90, 0.90),
    "gray": (0.47, 0.47, 0.47),
    "brown": (0.42, 0.26, 0.14),
    "red": (0.78, 0.10, 0.10),
    "orange": (0.93, 0.49, 0.08),
    "yellow": (0.95, 0.83, 0.12),
    "green": (0.15, 0.58, 0.20),
    "blue": (0.13, 0.30, 0.78),
    "purple": (0.47, 0.18, 0.68),
    "pink": (0.95, 0.50, 0.72),
}
COLOR_WORDS = tuple(_PAINT)
# How dark and light a paint may become; black and gray stay themselves.
_RANGE = {"black": (0.0, 0.21), "gray": (0.23, 0.61), "white": (0.63, 1.0)}
# Upper ends of the hues, in degrees.
_HUES = (
    (20, "red"),
    (43, "orange"),
    (68, "yellow"),
    (165, "green"),
    (255, "blue"),
    (300, "purple"),
    (342, "pink"),
    (361, "red"),
)
_CONTRAST = 0.8
_EDGE = 1.6  # of the averaged mask: a pixel whose neighbours are nearly all painted is painted fully
_UNPAINTED = frozenset(COLOR_WORDS) | {"wood", "wooden"}


def color_indices(rgb: Tensor) -> Tensor:
    """[...] int64 places in `COLOR_WORDS` of colours [..., 3] in [0, 1]."""
    highest, lowest = rgb.amax(dim=-1), rgb.amin(dim=-1)
    chroma = highest - lowest
    saturation = chroma / highest.clamp(min=1e-12)
    hue = _hue_deg(rgb, highest, chroma)
    limits = torch.tensor([float(limit) for limit, _ in _HUES], dtype=hue.dtype, device=hue.device)
    words = torch.tensor([COLOR_WORDS.index(word) for _, word in _HUES], device=hue.device)
    named = words[torch.bucketize(hue, limits, right=True)]
    brown = (hue >= 15) & (hue < 50) & ((highest < 0.55) | (saturation < 0.6))
    named = named.masked_fill(brown, COLOR_WORDS.index("brown"))
    colorless = saturation < 0.18
    named = named.masked_fill(colorless & (highest > 0.62), COLOR_WORDS.index("white"))
    named = named.masked_fill(colorless & (highest <= 0.62), COLOR_WORDS.index("gray"))
    return named.masked_fill(highest < 0.22, COLOR_WORDS.index("black"))


def _hue_deg(rgb: Tensor, highest: Tensor, chroma: Tensor) -> Tensor:
    """[...] in [0, 360)."""
    red, green, blue = rgb.unbind(dim=-1)
    divisor = chroma.clamp(min=1e-12)
    sixths = torch.where(
        highest == red,
        ((green - blue) / divisor) % 6,
        torch.where(highest == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    return 60 * sixths


def painted(rgba: Tensor, own: str, wanted: str) -> Tensor:
    """The parts of an object that have one colour in another, with their shading.

    Args:
        rgba: [V, H, W, 4] views in [0, 1], straight alpha.
        own: the colour word of what is painted.
        wanted: the colour word that it gets.

    Returns:
        [V, H, W, 4].
    """
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    mask = ((color_indices(rgb) == COLOR_WORDS.index(own)) & (alpha[..., 0] > 0)).to(rgb)
    share = F.avg_pool2d(mask[:, None], 3, stride=1, padding=1)[:, 0, ..., None].mul(_EDGE).clamp(max=1)
    value = rgb.amax(dim=-1, keepdim=True)
    mean = (value * share).sum() / share.sum().clamp(min=1)
    shading = 1 + _CONTRAST * (value / mean.clamp(min=0.02) - 1)
    new = (rgb.new_tensor(_PAINT[wanted]) * shading).clamp(*_RANGE.get(wanted, (0.0, 1.0)))
    return torch.cat([rgb * (1 - share) + new * share, alpha], dim=-1)


def paintings(objects: Sequence[CuratedObject]) -> tuple[tuple[int, str, str], ...]:
    """Which objects are painted: (place among the objects, own colour, other colour) for every colour that the object
    has not. One that has no colour of its own, or whose name speaks of one or of wood, stays as it is."""
    found = []
    for index, one in enumerate(objects):
        own = [word for word in one.adjectives if word in COLOR_WORDS]
        if own and not _UNPAINTED.intersection(normal_name(one.name).split()):
            found += [(index, own[0], word) for word in COLOR_WORDS if word != own[0]]
    return tuple(found)
