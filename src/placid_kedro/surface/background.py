"""The object apart from its plain background."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import DataError, ShapeError

# A corner's edge is the image's divided by this.
_CORNERS = 64
# A pixel belongs to the background when it differs from the corners' colour by less than this and is joined to it.
_TOLERANCE = 0.06
_SMALLEST_SHARE = 0.002
# Pixels across in which an edge is mixed with the background.
_EDGE = 5
# Fewer enclosed pixels are a highlight or noise, no hole (a share of the image).
_SMALLEST_HOLE = 4e-4


def remove_background(image: Tensor, hole_tolerance: float = 0.0) -> Tensor:
    """Find the object on a plain background that reaches the image's border.

    What the object encloses is a hole when it differs less than `hole_tolerance` from the background in the mean, and
    else part of the object. With 0 a white belly is kept and the hole of a ring is filled. A part in the background's
    colour that touches the background is lost.

    Args:
        image: [3, H, W] in [0, 1].
        hole_tolerance: of what is enclosed, in [0, 1].

    Returns:
        [4, H, W]: the image and its alpha, 1 inside the object, soft along its edge.

    Raises:
        ShapeError: when the image has another shape.
        DataError: when next to nothing stands out from the background.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ShapeError(f"The image must be [3, H, W], got {list(image.shape)}.")
    plain = _background_color(image)
    distance = (image - plain[:, None, None]).abs().amax(dim=0)
    outside = torch.from_numpy(_outside(distance.cpu().numpy(), hole_tolerance)).to(image.device)
    if float((~outside).float().mean()) < _SMALLEST_SHARE:
        raise DataError("An image shows nothing but its background; try another seed or more steps.")
    alpha = _edge_alpha(distance, outside)
    # Straight colours: over the same background they give the image again.
    shares = torch.where(alpha > 0, alpha, torch.ones_like(alpha))
    colors = (image - (1 - shares) * plain[:, None, None]) / shares
    return torch.cat([colors.clamp(0, 1), alpha[None]])


def _background_color(image: Tensor) -> Tensor:
    """[3] the median of the corners: an object may reach along most of the border, hardly into its corners."""
    edge = max(1, min(image.shape[1:]) // _CORNERS)
    rows = torch.cat([image[:, :edge], image[:, -edge:]], dim=1)
    corners = torch.cat([rows[..., :edge], rows[..., -edge:]], dim=2)
    return corners.flatten(1).median(dim=1).values


def _edge_alpha(distance: Tensor, outside: Tensor) -> Tensor:
    """[H, W]: 0 outside, 1 inside; a pixel at the edge has its difference from the background as a share of the
    largest one around it, which an unmixed pixel of the object shows."""
    unmixed = F.max_pool2d(distance[None], _EDGE, stride=1, padding=_EDGE // 2)[0].clamp_min(_TOLERANCE)
    near_outside = F.max_pool2d(outside.float()[None], _EDGE, stride=1, padding=_EDGE // 2)[0] > 0
    mixed = torch.where(near_outside, distance / unmixed, torch.ones_like(distance))
    return torch.where(outside, torch.zeros_like(mixed), mixed)


def _outside(distance: NDArray[np.float32], hole_tolerance: float) -> NDArray[np.bool_]:
    """[H, W]: plain pixels that are joined to the border, and holes."""
    regions, count = ndimage.label(distance < _TOLERANCE)
    edge = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    labels = np.arange(1, count + 1)
    difference = ndimage.mean(distance, regions, labels)
    large = np.bincount(regions.ravel(), minlength=count + 1)[1:] >= _SMALLEST_HOLE * distance.size
    return np.isin(regions, labels[np.isin(labels, edge) | (large & (difference < hole_tolerance))])


def cut_out(images: Tensor, hole_tolerance: float = 0.0) -> Tensor:
    """[N, 4, H, W]: what `remove_background` leaves of images [N, 3, H, W] in [0, 1]."""
    return torch.stack([remove_background(image, hole_tolerance) for image in images])


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
