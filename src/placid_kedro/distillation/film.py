"""Pictures that are kept of Gaussians under distillation, all from one side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.distillation.splats_config import FilmParameters
from placid_kedro.splats import Gaussians, render


class Film:
    """The Gaussians at some steps of their distillation, over white, from the front.

    Attributes:
        images: uint8 [3, S, S] of the moments so far, by the number of steps done before.
    """

    def __init__(self, parameters: FilmParameters, steps: int) -> None:
        """
        Args:
            parameters: how many moments, and the camera.
            steps: of the whole distillation.
        """
        self.images: dict[int, Tensor] = {}
        self._wanted = parameters.steps_of(steps)
        self._camera = ring(
            1,
            parameters.elevation_deg,
            parameters.distance,
            parameters.field_of_view_deg,
            parameters.image_size,
        )

    def watch(self, step: int, parameters: dict[str, nn.Parameter]) -> None:
        """Take a picture of Gaussians (`Gaussians.from_parameters`), if `step` is a moment that is wanted."""
        if step not in self._wanted:
            return
        with torch.no_grad():
            scene = Gaussians.from_parameters(parameters)
            camera = self._camera.to(scene.means.device)
            image = render(scene, camera, torch.ones(3, device=scene.means.device)).rgb[0]
        self.images[step] = (255 * image.clamp(0, 1)).round().byte().cpu()

    def views(self) -> PosedViews:
        """The moments in their order, [M, 3, S, S], each with the camera."""
        images = torch.stack([self.images[step] for step in sorted(self.images)])
        return PosedViews(images.float() / 255, self._camera[torch.zeros(len(images), dtype=torch.long)])
