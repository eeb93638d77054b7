"""The object apart from its plain background."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import DataError, ShapeError

# A pixel belongs to the background when it differs from the border's colour by less than this and is joined to it.
_TOLERANCE = 0.06
_SMALLEST_SHARE = 0.002


def remove_background(image: Tensor) -> Tensor:
    """Find the object on a plain background that reaches the image's border.

    What is as plain as the background but enclosed by the object stays part of it: a white belly is kept, and
    the hole of a ring is filled. A part in the background's colour that touches the background is lost.

    Args:
        image: [3, H, W] in [0, 1].

    Returns:
        [4, H, W]: the image and its alpha, 1 inside the object, soft along its edge.

    Raises:
        ShapeError: when the image has another shape.
        DataError: when next to nothing stands out from the background.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ShapeError(f"The image must be [3, H, W], got {list(image.shape)}.")
    border = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], dim=1)
    plain = border.median(dim=1).values
    distance = (image - plain[:, None, None]).abs().amax(dim=0)
    regions, _ = ndimage.label((distance < _TOLERANCE).cpu().numpy())
    edge = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    outside = torch.from_numpy(np.isin(regions, edge[edge > 0])).to(image.device)
    if float((~outside).float().mean()) < _SMALLEST_SHARE:
        raise DataError("An image shows nothing but its background; try another seed or more steps.")
    # Pixels at the edge mix object and background: half of the way to the tolerance still counts in part.
    soft = (distance / (2 * _TOLERANCE)).clamp(0, 1)
    near_outside = F.max_pool2d(outside.float()[None], 3, stride=1, padding=1)[0] > 0
    alpha = torch.where(
        outside, torch.zeros_like(soft), torch.where(near_outside, soft, torch.ones_like(soft))
    )
    return torch.cat([image, alpha[None]])


def silhouettes(images: Tensor) -> Tensor:
    """[N, H, W] alphas of images [N, 3, H, W] in [0, 1] over plain backgrounds; raises as `remove_background`."""
    return torch.stack([remove_background(image)[3] for image in images])


def fit_with_margin(rgba: Tensor, margin: float, size: int) -> Tensor:
    """Centre the object in a square with a transparent margin, as the multi-view model expects it (Sec. 4.1).

    Args:
        rgba: [4, H, W], straight alpha, the object somewhere in it.
        margin: on each side of the object's longer side, as a share of the new image, in [0, 0.5).
        size: side of the new image in pixels.

    Returns:
        [4, size, size], straight alpha.

    Raises:
        DataError: when the alpha is empty.
    """
    rows = torch.nonzero(rgba[3].amax(dim=1) > 0.5).flatten()
    columns = torch.nonzero(rgba[3].amax(dim=0) > 0.5).flatten()
    if not len(rows) or not len(columns):
        raise DataError("The reference image holds no object to centre; try another seed.")
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    crop = torch.cat([rgba[:3] * rgba[3:], rgba[3:]])[:, top:bottom, left:right]
    scale = size * (1 - 2 * margin) / max(crop.shape[1:])
    height, width = (max(1, round(side * scale)) for side in crop.shape[1:])
    resized = F.interpolate(
        crop[None], (height, width), mode="bilinear", antialias=True, align_corners=False
    )[0]
    canvas = rgba.new_zeros(4, size, size)
    y, x = (size - height) // 2, (size - width) // 2
    canvas[:, y : y + height, x : x + width] = resized
    canvas[:3] = canvas[:3] / canvas[3:].clamp_min(1e-6)
    return canvas.clamp(0, 1)
