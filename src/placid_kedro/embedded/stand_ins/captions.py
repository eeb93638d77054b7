"""Captions by retrieval: the known name that fits an image best, and its most frequent colour."""

from __future__ import annotations

import numpy as np
from skimage.color import rgb2lab
from torch import Tensor

from placid_kedro.embedded.stand_ins import SUFFIX
from placid_kedro.embedded.stand_ins.image_scorer import EmbeddedImageScorer

NOTHING = "nothing"
# What differs from white by no more than this, in every channel, is background.
_WHITE = 0.04
# Fewer pixels than this share of an image are no object.
_SMALLEST_SHARE = 0.002
_COLORS = {
    "black": (25, 25, 25),
    "gray": (128, 128, 128),
    "white": (240, 240, 240),
    "red": (200, 30, 30),
    "orange": (240, 140, 20),
    "yellow": (245, 220, 50),
    "green": (50, 140, 50),
    "blue": (40, 80, 190),
    "purple": (120, 50, 150),
    "pink": (245, 150, 180),
    "brown": (110, 70, 40),
    "beige": (220, 200, 165),
}


class RetrievedCaptions:
    """`a COLOUR NAME` for images over white."""

    name = "retrieval among known names and colours"
    suffix = SUFFIX

    def __init__(self, scorer: EmbeddedImageScorer) -> None:
        self._scorer = scorer

    def captions(self, images: Tensor, seed: int) -> list[str]:
        """One caption for each of the images [N, 3, H, W] in [0, 1]; nothing is drawn by chance."""
        named = zip((color_name(image) for image in images), self._scorer.best_names(images), strict=True)
        return [NOTHING if color is None else f"a {color} {name}" for color, name in named]


def color_name(image: Tensor) -> str | None:
    """The colour that most pixels of an object are nearest to in CIE Lab; None for an empty image.

    Args:
        image: [3, H, W] in [0, 1], the object over white.
    """
    pixels = image.permute(1, 2, 0).reshape(-1, 3).double().cpu().numpy()
    object_pixels = pixels[(pixels < 1 - _WHITE).any(axis=1)]
    if len(object_pixels) < _SMALLEST_SHARE * len(pixels):
        return None
    palette = rgb2lab(np.array(list(_COLORS.values()), np.float64) / 255)
    distances = np.linalg.norm(rgb2lab(object_pixels)[:, None] - palette, axis=-1)
    return list(_COLORS)[int(np.bincount(distances.argmin(axis=1), minlength=len(_COLORS)).argmax())]
