"""Image files to pixels."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from placid_kedro.rejections import Reason, RejectedAsset

# Pillow knows formats that start programs (EPS); these are what textures come in.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "DDS", "TGA")
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def read_image(data: bytes, name: str, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image.

    Args:
        data: the file's content.
        name: for messages.
        max_pixels: width times height.

    Returns:
        RGBA [H, W, 4] uint8; 16 bits are rounded to 8.

    Raises:
        RejectedAsset: it is none, or too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise RejectedAsset(
                    Reason.TOO_LARGE,
                    f"{name} has {image.width} x {image.height} pixels, allowed are {max_pixels}",
                )
            if image.mode in _SIXTEEN_BITS:
                gray = np.rint(np.asarray(image).astype(np.float64) / 257.0).clip(0, 255).astype(np.uint8)
                return np.dstack([gray, gray, gray, np.full_like(gray, 255)])
            if image.mode == "F":
                raise RejectedAsset(Reason.TEXTURE_UNREADABLE, f"{name} holds floating-point numbers")
            return np.asarray(image.convert("RGBA"))
    except (MemoryError, RejectedAsset):
        raise
    except Exception as error:  # Pillow's decoders raise whatever they meet in a malformed file
        message = f"{name} cannot be read: {' '.join(str(error).split()) or type(error).__name__}"
        raise RejectedAsset(Reason.TEXTURE_UNREADABLE, message) from error
