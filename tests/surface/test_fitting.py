"""A start of the wrong size and colour is fitted to views of a ball, and judged from cameras that it has not seen."""

import math

import pytest
import torch

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.evaluation.view_metrics import silhouette_iou
from placid_kedro.splats import Gaussians, TargetViews, render
from placid_kedro.splats.gaussians import neighbour_distance
from placid_kedro.surface.background import cut_out
from placid_kedro.surface.config import FitParameters
from placid_kedro.surface.fitting import fit_to_views
from placid_kedro.surface.point_clouds import sphere
from tests.surface.test_initial_points import RADIUS, photographs

PARAMETERS = FitParameters(
    steps=100,
    views_per_step=3,
    position=2e-3,
    rotation=1e-2,
    scale=2e-2,
    opacity=5e-2,
    colour=5e-2,
    final_rate=0.1,
    silhouette_weight=1.0,
    longest=2.0,
    thinnest=0.1,
    minimum_opacity=0.05,
)
VIEWS = ring(8, 30.0, 1.5, 49.13, 32)
UNSEEN = ring(6, 5.0, 1.4, 49.13, 32)


@pytest.fixture(scope="module")
def start() -> Gaussians:
    """Grey, and much too small."""
    cloud = sphere(500, 0.6 * RADIUS, torch.Generator().manual_seed(0))
    return Gaussians.from_points(cloud.points, cloud.colors, normals=cloud.normals, opacity=0.7)


@pytest.fixture(scope="module")
def fitted(start: Gaussians) -> Gaussians:
    views = PosedViews(photographs(VIEWS), VIEWS)
    target = TargetViews(views, cut_out(views.images)[:, 3])
    return fit_to_views(start, target, PARAMETERS, torch.Generator().manual_seed(1))


def errors(gaussians: Gaussians) -> tuple[float, float]:
    """Silhouette IoU and mean colour error, from the unseen cameras."""
    truth = photographs(UNSEEN)
    with torch.no_grad():
        seen = render(gaussians, UNSEEN, torch.ones(3))
    covered = (truth.amin(dim=1) < 0.9).float()
    return float(silhouette_iou(seen.alpha[:, 0], covered).mean()), float((seen.rgb - truth).abs().mean())


def test_fitted_gaussians_look_right_from_sides_that_they_were_not_fitted_to(
    start: Gaussians, fitted: Gaussians
) -> None:
    iou, color_error = errors(fitted)
    iou_of_start, color_error_of_start = errors(start)
    assert iou_of_start < 0.75
    assert iou > 0.88
    assert color_error < 0.5 * color_error_of_start


def test_there_are_no_needles_no_hairs_and_nothing_faint(start: Gaussians, fitted: Gaussians) -> None:
    longest = PARAMETERS.longest * float(neighbour_distance(start.means).median())
    assert float(fitted.scales.max()) <= 1.0001 * longest
    pixel = 1.5 * 2 * math.tan(math.radians(49.13 / 2)) / 32
    assert float(fitted.scales.min()) >= 0.9999 * PARAMETERS.thinnest * pixel
    assert float(fitted.opacities.min()) >= PARAMETERS.minimum_opacity


def test_the_same_seed_gives_the_same_fit(start: Gaussians) -> None:
    short = PARAMETERS.model_copy(update={"steps": 3})
    views = PosedViews(photographs(VIEWS), VIEWS)
    target = TargetViews(views, cut_out(views.images)[:, 3])
    first, second, other = (
        fit_to_views(start, target, short, torch.Generator().manual_seed(seed)).means for seed in (4, 4, 5)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
