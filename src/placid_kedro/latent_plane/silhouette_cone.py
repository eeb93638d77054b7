"""What the reference's silhouette says of the density field: outside its cone there is nothing.

A visual hull of one view (Laurentini 1994). The plane's feature maps are too coarse to know the silhouette to the
pixel; the reference shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane.geometry import planar_depth, project


@dataclass(frozen=True, eq=False)
class SilhouetteCone:
    """The part of space that one view's silhouette covers.

    Attributes:
        coverage: [H, W] in [0, 1], how much of each pixel the object covers; one half and more is inside.
        camera: the one that sees it, of the same size.

    Raises:
        ShapeError: for several cameras, or one of another size.
    """

    coverage: Tensor
    camera: Cameras

    def __post_init__(self) -> None:
        if len(self.camera) != 1 or self.coverage.shape != (self.camera.height, self.camera.width):
            raise ShapeError(
                f"A silhouette's cone needs one camera of the size {list(self.coverage.shape)}, got "
                f"{len(self.camera)} of {[self.camera.height, self.camera.width]}."
            )

    def share(self, points: Tensor) -> Tensor:
        """How much of a pixel's surroundings is inside at the projections of points: [P, 3] -> [P] in [0, 1]."""
        pixels = project(points, self.camera)[:, 0]
        grid = 2 * pixels / pixels.new_tensor([self.camera.width, self.camera.height]) - 1
        inside = (self.coverage >= 0.5).to(grid)[None, None]
        sampled = F.grid_sample(inside, grid[None, None], padding_mode="zeros", align_corners=False)[0, 0, 0]
        return sampled * (planar_depth(points, self.camera)[0] > 0)

    def carve(self, raw_sigma: Tensor, points: Tensor) -> Tensor:
        """The raw density whose softplus is that of `raw_sigma` [P] times the share of `points` [P, 3]."""
        sigma = F.softplus(raw_sigma) * self.share(points).to(raw_sigma)
        return sigma + torch.log(-torch.expm1(-sigma))
