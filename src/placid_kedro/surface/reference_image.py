"""The reference image: drawn or a picture of the user's own, cut out, checked and centred (Sec. 4.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from torch import Tensor

from placid_kedro.errors import DataError
from placid_kedro.surface.background import fit_with_margin
from placid_kedro.surface.matting import BackgroundRemover
from placid_kedro.surface.pictures import read_picture
from placid_kedro.surface.reference_config import MaskParameters, ReferenceParameters

logger = logging.getLogger(__name__)

# Side in pixels of a picture of one's own; the multi-view models take 128 to 256.
_PICTURE_SIZE = 512
_MOST = 0.9
_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def drawn_reference(
    draw: Callable[[int], Tensor], remover: BackgroundRemover, parameters: ReferenceParameters
) -> Tensor:
    """Draw until an image shows one object.

    Args:
        draw: the image [3, H, W] in [0, 1] of the attempt 0, 1, ...
        remover: of its background.
        parameters: of the stage.

    Returns:
        [4, H, W] in [0, 1], straight alpha.

    Raises:
        DataError: no attempt showed one object.
    """
    for attempt in range(parameters.attempts):
        image = draw(attempt)
        try:
            cut_out = remover(image)
            check_mask(cut_out[3], parameters.mask)
        except DataError as error:
            fault = str(error)
            logger.warning("reference image %d of %d: %s", attempt + 1, parameters.attempts, fault)
            continue
        if parameters.margin is None:
            return cut_out
        return fit_with_margin(cut_out, parameters.margin, cut_out.shape[-1])
    raise DataError(
        f"None of {parameters.attempts} reference images could be cut out ({fault.rstrip('.')}); try another seed, "
        "more reference.attempts, or a network in reference.background."
    )


def own_reference(picture: Path, remover: BackgroundRemover, parameters: ReferenceParameters) -> Tensor:
    """Cut the object out of a picture; one with transparent pixels is cut out already.

    Returns:
        [4, 512, 512] in [0, 1], straight alpha, the object in the middle.

    Raises:
        DataError: the picture cannot be read or does not show one object.
    """
    image = read_picture(picture)
    try:
        cut_out = image if len(image) == 4 else remover(image)
        check_mask(cut_out[3], parameters.mask)
    except DataError as error:
        raise DataError(
            f"The picture {picture} does not show one object alone ({str(error).rstrip('.')}); give one with a plain "
            "or transparent background, or a network in reference.background."
        ) from error
    return fit_with_margin(cut_out, parameters.image_margin, _PICTURE_SIZE)


def check_mask(alpha: Tensor, rules: MaskParameters) -> None:
    """Refuse the mask [H, W] of something that is not one object.

    Raises:
        DataError: it covers next to nothing, nearly all of the image or of its border, or is in many pieces.
    """
    inside = (alpha > 0.5).cpu().numpy()
    share = float(inside.mean())
    if not inside.any() or share < rules.smallest:
        raise DataError(f"Only {share:.1%} of the image stand out from its background.")
    if share > rules.largest:
        raise DataError(f"The object would fill {share:.0%} of the image, as a room or a landscape does.")
    border = np.concatenate([inside[0], inside[-1], inside[1:-1, 0], inside[1:-1, -1]]).mean()
    if border > rules.border:
        raise DataError(
            f"The object would cover {border:.0%} of the image's border, as a floor or a wall does."
        )
    pieces, _ = ndimage.label(inside, structure=_NEIGHBOURS)
    sizes = np.sort(np.bincount(pieces.ravel())[1:])[::-1]
    count = int(np.searchsorted(np.cumsum(sizes), _MOST * sizes.sum())) + 1
    if count > rules.pieces:
        raise DataError(f"The object would be in {count} pieces.")
