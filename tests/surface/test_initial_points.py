"""A density field and views of a coloured ball become Gaussians on its surface in its colours."""

from dataclasses import replace

import pytest
import torch

from placid_kedro.cameras import Cameras, PosedViews, ring
from placid_kedro.errors import DataError
from placid_kedro.splats import are_seen
from placid_kedro.surface.background import cut_out
from placid_kedro.surface.config import InitLevel, IsoLevel, OccupancyLevel, RelativeLevel
from placid_kedro.surface.initial_points import (
    color_from_views,
    gaussians_of,
    surface_points,
    without_hidden,
)
from tests.splats.test_visibility import OUTSIDE, VIEWS, ball_with_a_secret
from tests.splats.test_visibility import RADIUS as RADIUS_OF_BALL

RADIUS = 0.3


def ball(resolution: int = 24) -> torch.Tensor:
    axis = torch.linspace(-0.5, 0.5, resolution)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    # 15 at the radius, falling outwards.
    return (15 + 60 * (RADIUS - (x**2 + y**2 + z**2).sqrt())).clamp_min(0)


def photographs(cameras: Cameras) -> torch.Tensor:
    """Views of the ball over white: red where y > 0, blue where y < 0, by intersecting each ray with it."""
    origins, directions = cameras.rays()
    directions = torch.nn.functional.normalize(directions, dim=-1)
    along = -(origins * directions).sum(-1)
    inside = RADIUS**2 - (origins.square().sum(-1) - along**2)
    hit = origins + (along - inside.clamp_min(0).sqrt())[..., None] * directions
    red, blue = torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.8])
    colour = torch.where(hit[..., 1:2] > 0, red, blue)
    return torch.where((inside > 0)[..., None], colour, torch.ones(3)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    "level",
    [
        IsoLevel(density=15.0),
        OccupancyLevel(occupancy=0.7769, thickness=0.1),
        RelativeLevel(share=15.0 / float(ball().max())),
    ],
)
def test_points_lie_on_the_level(level: InitLevel) -> None:
    # 1 - exp(-15 * 0.1) = 0.7769: all three name the same surface.
    points = surface_points(ball(), level, 500, torch.Generator().manual_seed(0))
    assert float((points.points.norm(dim=1) - RADIUS).abs().max()) < 0.01
    assert float((points.points / RADIUS * points.normals).sum(-1).min()) > 0.9


def test_points_follow_their_seed() -> None:
    first, second, other = (
        surface_points(ball(), IsoLevel(density=15.0), 50, torch.Generator().manual_seed(seed)).points
        for seed in (4, 4, 5)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_a_field_without_surface_is_one_sentence() -> None:
    with pytest.raises(DataError, match="No surface at density 15"):
        surface_points(torch.ones(8, 8, 8), IsoLevel(density=15.0), 10, torch.Generator())


def test_points_take_the_colour_of_the_views_that_see_them() -> None:
    cameras = ring(8, 30.0, 1.5, 49.13, 64)
    points = surface_points(ball(), IsoLevel(density=15.0), 800, torch.Generator().manual_seed(0))
    images = photographs(cameras)
    cloud = color_from_views(points, PosedViews(images, cameras), cut_out(images)[:, 3])
    assert torch.equal(cloud.points, points.points)
    clear = (points.points[:, 1].abs() > 0.05) & (points.points[:, 2] > -0.1)
    left = points.points[:, 1] > 0
    reddish = cloud.colors[:, 0] > cloud.colors[:, 2]
    assert float((reddish == left)[clear].float().mean()) > 0.99
    # White never bleeds in from behind the ball's edge.
    assert float(cloud.colors[:, 1].max()) < 0.3
    gaussians = gaussians_of(cloud, 0.2, 0.3)
    assert len(gaussians) == 800
    torch.testing.assert_close(gaussians.opacities, torch.full((800,), 0.2))
    torch.testing.assert_close(gaussians.base_colors, cloud.colors, atol=1e-6, rtol=0)
    # Discs across the normals.
    assert (gaussians.scales.argmin(dim=1) == 2).all()


def test_what_an_opaque_surface_would_hide_goes_though_it_shows_through() -> None:
    faint = 0.1
    ball = ball_with_a_secret()
    ball = replace(ball, logit_opacities=torch.full_like(ball.logit_opacities, faint).logit())
    is_inside = torch.arange(len(ball)) >= OUTSIDE
    assert bool(are_seen(ball, VIEWS)[is_inside].any())
    kept = without_hidden(ball, VIEWS)
    assert float(kept.means.norm(dim=1).min()) > 0.99 * RADIUS_OF_BALL
    assert len(kept) > 0.9 * OUTSIDE
    torch.testing.assert_close(kept.opacities, torch.full((len(kept),), faint))  # as they were
