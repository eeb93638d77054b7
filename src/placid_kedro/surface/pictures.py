"""A picture of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from placid_kedro.errors import DataError

# Pillow knows formats that start programs (EPS); these are what photos and drawings come in.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_SMALLEST = 32
_LARGEST = 1024
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def read_picture(path: Path) -> Tensor:
    """Read an image file.

    It is turned upright as its camera noted, and made smaller where its longer side has over 1024 pixels.

    Returns:
        Float32 in [0, 1]: [4, H, W] with straight alpha where some pixel is transparent, else [3, H, W].

    Raises:
        DataError: there is no such file, it is no image, or a side of it has under 32 pixels.
    """
    if not path.is_file():
        raise DataError(f"There is no picture {path}; give the path of a PNG, JPEG or WebP file.")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            upright = ImageOps.exif_transpose(image)
            rgba = _eight_bits(upright).convert("RGBA")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} cannot be read as a picture ({reason}); give a whole PNG, JPEG or WebP."
        ) from error
    if min(rgba.size) < _SMALLEST:
        raise DataError(
            f"The picture {path} has {rgba.width} x {rgba.height} pixels; give one with at least {_SMALLEST} a side."
        )
    rgba.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.asarray(rgba).copy()).permute(2, 0, 1).float() / 255
    return pixels if bool((pixels[3] < 1).any()) else pixels[:3]


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow clips 16-bit grey where it should scale."""
    if image.mode not in _SIXTEEN_BITS:
        return image
    return Image.fromarray(np.rint(np.asarray(image) / 257.0).clip(0, 255).astype(np.uint8))
