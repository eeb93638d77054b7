"""Posed views that Gaussians should look like, and how far from them they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.cameras import PosedViews
from placid_kedro.device import to_device
from placid_kedro.errors import ShapeError
from placid_kedro.splats.gaussians import Gaussians
from placid_kedro.splats.views import render


@dataclass(frozen=True, eq=False)
class TargetViews:
    """N views of an object, and what of them is the object.

    Attributes:
        views: RGB over white.
        alphas: [N, H, W] how much of each pixel the object covers, in [0, 1].

    Raises:
        ShapeError: views and alphas do not belong together.
    """

    views: PosedViews
    alphas: Tensor

    def __post_init__(self) -> None:
        expected = (len(self.views), *self.views.images.shape[2:])
        if self.views.images.shape[1] != 3 or self.alphas.shape != expected:
            raise ShapeError(
                f"Target views need RGB images and alphas {list(expected)}, got images "
                f"{list(self.views.images.shape)} and alphas {list(self.alphas.shape)}."
            )

    def to(self, device: torch.device | str) -> TargetViews:
        """The same views on another device."""
        return TargetViews(self.views.to(device), self.alphas.to(device))

    def error(
        self, gaussians: Gaussians, *, count: int, silhouette_weight: float, generator: torch.Generator
    ) -> Tensor:
        """Mean absolute error of the Gaussians' colours over white and, weighted, of their alpha.

        Args:
            gaussians: on the device of the views.
            count: so many of the views are looked at, drawn by their weights without replacement; all where there
                are fewer.
            silhouette_weight: of the error of alpha beside that of colours.
            generator: draws the views, on the CPU.
        """
        weights = self.views.weights_or_ones()
        drawn = torch.multinomial(weights, min(count, len(weights)), generator=generator)
        chosen = to_device(drawn, self.alphas.device)
        seen = render(gaussians, self.views.cameras[chosen], torch.ones(3, device=self.alphas.device))
        colors = (seen.rgb - self.views.images[chosen]).abs().mean()
        return colors + silhouette_weight * (seen.alpha - self.alphas[chosen, None]).abs().mean()
