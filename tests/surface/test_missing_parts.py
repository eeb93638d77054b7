"""A ball with a thin arm: the first Gaussians are the ball alone, the views show both."""

import pytest
import torch

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.errors import ShapeError
from placid_kedro.splats import Gaussians, render
from placid_kedro.surface.config import MissingPartsParameters
from placid_kedro.surface.missing_parts import add_missing_parts, lacking_alphas
from placid_kedro.surface.point_clouds import sphere

CAMERAS = ring(8, 30.0, 1.5, 49.13, 64)
PARAMETERS = MissingPartsParameters(resolution=64, most=400)
ARM_COLOUR = torch.tensor([0.2, 0.6, 0.1])


def ball() -> Gaussians:
    cloud = sphere(1500, 0.15, torch.Generator().manual_seed(0))
    colors = torch.tensor([0.7, 0.2, 0.2]).expand(1500, 3)
    return Gaussians.from_points(cloud.points, colors, normals=cloud.normals, opacity=0.95)


def arm() -> Gaussians:
    """Along y from 0.15 to 0.4, 0.03 thick, above the middle."""
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(800, 3, generator=generator) * torch.tensor([0.03, 0.25, 0.03])
    points = points + torch.tensor([-0.015, 0.15, 0.085])
    return Gaussians.from_points(points, ARM_COLOUR.expand(800, 3), opacity=0.95)


def seen(gaussians: Gaussians) -> tuple[PosedViews, torch.Tensor]:
    with torch.no_grad():
        views = render(gaussians, CAMERAS, torch.ones(3))
    return PosedViews(views.rgb, CAMERAS), views.alpha[:, 0]


@pytest.fixture(scope="module")
def mended() -> Gaussians:
    views, alphas = seen(ball().followed_by(arm()))
    return add_missing_parts(ball(), views, alphas, PARAMETERS, 0.7, torch.Generator().manual_seed(2))


def test_the_new_points_are_the_arm(mended: Gaussians) -> None:
    added = mended.means[1500:]
    assert torch.equal(mended.means[:1500], ball().means)
    assert 30 < len(added) <= 400
    # Inside the arm's box, give or take two pixels of 0.02; all cameras look down alike, so that a few lie deeper.
    outside = (added - added.new_tensor([0.0, 0.275, 0.1])).abs() - added.new_tensor([0.015, 0.125, 0.015])
    assert float(outside.amax(dim=1).quantile(0.9)) < 0.05
    assert float(outside.max()) < 0.1
    assert float(added[:, 1].max() - added[:, 1].min()) > 0.15
    torch.testing.assert_close(mended.opacities[1500:], torch.full((len(added),), 0.7))


def test_they_have_the_arms_colour_and_no_great_size(mended: Gaussians) -> None:
    colors = mended.base_colors[1500:]
    nearer = (colors - ARM_COLOUR).norm(dim=1) < (colors - torch.tensor([0.7, 0.2, 0.2])).norm(dim=1)
    assert float(nearer.float().mean()) > 0.95
    assert float(mended.scales[1500:].max()) < 0.02


def test_the_views_lack_less_than_before(mended: Gaussians) -> None:
    _, alphas = seen(ball().followed_by(arm()))
    before, after = (float(lacking_alphas(one, CAMERAS, alphas).sum()) for one in (ball(), mended))
    assert after < 0.35 * before


def test_nothing_is_added_where_nothing_is_missing() -> None:
    views, alphas = seen(ball())
    same = add_missing_parts(ball(), views, alphas, PARAMETERS, 0.7, torch.Generator().manual_seed(2))
    assert torch.equal(same.means, ball().means)


def test_no_more_than_allowed_and_the_same_for_the_same_seed() -> None:
    views, alphas = seen(ball().followed_by(arm()))
    few = PARAMETERS.model_copy(update={"most": 7})
    first, second, other = (
        add_missing_parts(ball(), views, alphas, few, 0.7, torch.Generator().manual_seed(seed)).means
        for seed in (4, 4, 5)
    )
    assert len(first) == 1507
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_gaussians_of_other_degrees_are_not_joined() -> None:
    with pytest.raises(ShapeError, match=r"degree 0 .* degree 1"):
        ball().followed_by(ball().with_sh_degree(1))
