"""A density field without what the views do not show: space carving (Kutulakos and Seitz 2000), softly.

Latent-Plane reads its field where sampling begins and knows the reference alone there; the finished views know better
where the object ends. The paper takes the field as it is (Sec. 4.1).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras, PosedViews
from placid_kedro.cameras.rays import project
from placid_kedro.surface.background import silhouettes
from placid_kedro.surface.config import CarveParameters
from placid_kedro.surface.extraction import cube_points


def carve(density: Tensor, views: PosedViews, parameters: CarveParameters) -> Tensor:
    """Take from a density field what too few silhouettes hold.

    Args:
        density: [R, R, R] as `density_grid` gives it.
        views: RGB over a plain background.
        parameters: which share of the views is too few.

    Returns:
        [R, R, R], nowhere above `density`.

    Raises:
        DataError: when a view shows nothing but background.
    """
    support = silhouette_support(silhouettes(views.images), views.cameras, len(density))
    kept = (support - parameters.none_below) / (parameters.all_from - parameters.none_below)
    return density * kept.clamp(0, 1)


def silhouette_support(alphas: Tensor, cameras: Cameras, resolution: int) -> Tensor:
    """[R, R, R] mean over N silhouettes [N, H, W] of what each shows where a point of the grid is seen, in [0, 1].

    A point outside an image is outside that silhouette.
    """
    pixels = project(cube_points(resolution), cameras)
    height, width = alphas.shape[-2:]
    places = pixels.movedim(1, 0)[:, None] / pixels.new_tensor([width, height]) * 2 - 1
    seen = F.grid_sample(alphas[:, None], places, padding_mode="zeros", align_corners=False)
    return seen.mean(dim=0).reshape(resolution, resolution, resolution)
