"""The two ways of measuring that carry the name T3Bench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from placid_kedro.errors import DataError, ParameterError

ProtocolName = Literal["paper", "official"]
FIELDS_OF_VIEW_DEG = (60.0, 45.0, 36.0, 30.0, 24.0)
CAPTION_FIELD_OF_VIEW_DEG = 60.0
RADIUS = 2.2


@dataclass(frozen=True)
class Framing:
    """Where the cameras of one object are.

    Attributes:
        center: [3] float32, what they look at.
        quality_distance: of the cameras of the quality, in world units.
        caption_distance: of those whose images are described.
    """

    center: Tensor
    quality_distance: float
    caption_distance: float


@dataclass(frozen=True)
class Protocol:
    """How an object is framed and what a missing one gets.

    Attributes:
        name: `official`, as published for meshes; `paper`, PlacidDreamer's variant for splats (Table 1).
        normalises: whether the object is brought to the mean of its points and to a largest coordinate of 1.
        missing_quality: quality of an object that is missing or cannot be seen; None: that of black images.
    """

    name: ProtocolName
    normalises: bool
    missing_quality: float | None

    def framing(self, points: Tensor, half_edge: float) -> Framing:
        """Put the cameras round an object.

        Args:
            points: [N, 3], its vertices or the centres of its Gaussians.
            half_edge: half the edge of the cube that objects of this maker lie in, in world units: the paper's
                radius is measured in it, since the authors' objects lie in [-1, 1]^3.

        Raises:
            DataError: without points, or with points in one place.
            ParameterError: `half_edge` is not positive.
        """
        if not half_edge > 0:
            raise ParameterError(f"half_edge must be positive, got {half_edge}.")
        points = points.detach().cpu().double()
        points = points[torch.isfinite(points).all(dim=1)]
        if not len(points) or not bool((points != points[0]).any()):
            raise DataError("An object cannot be framed: it has no two points in different places.")
        if self.normalises:
            center = points.mean(dim=0)
            unit = float((points - center).abs().max())
            # The published script multiplies the radius of the captions' cameras in twice.
            return Framing(center.float(), RADIUS * unit, RADIUS**2 * unit)
        extent = float((points.amax(dim=0) - points.amin(dim=0)).max())
        return Framing(torch.zeros(3), RADIUS * half_edge, RADIUS * extent / 2)


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "paper": Protocol("paper", normalises=False, missing_quality=0.0),
    "official": Protocol("official", normalises=True, missing_quality=None),
}
