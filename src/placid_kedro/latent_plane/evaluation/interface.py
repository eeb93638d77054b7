"""What every way of evaluating a plane does, so that one can stand in the place of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from placid_kedro.latent_plane.inputs import ObjectInputs


@dataclass(frozen=True)
class RenderedMaps:
    """What the plane renders for the N views of one object.

    Attributes:
        features: [N, C, H, W] (Eq. 8).
        occupancy: [N, 1, H, W] in [0, 1].
        depth: [N, 1, H, W] expected depth, not divided by the occupancy.
    """

    features: Tensor
    occupancy: Tensor
    depth: Tensor


class PlaneEvaluator(Protocol):
    """Evaluates one plane for one object."""

    def density(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P] sigma before softplus, float32, at points [P, 3] in the world (Eq. 3-6)."""

    def render(self, inputs: ObjectInputs) -> RenderedMaps:
        """The maps of all views, rendered along the rays through their texels (Eq. 7-8)."""
