"""Carving a density field by silhouettes, on bodies whose silhouettes are known."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from placid_kedro.cameras import ring
from placid_kedro.cameras.rays import project
from placid_kedro.surface.carving import carve, silhouette_support, unseen_through
from placid_kedro.surface.config import CarveParameters

R = 33
CAMERAS = ring(8, 30.0, 1.5, 49.13, 96)
AXIS = torch.linspace(-0.5, 0.5, R)
GRID = torch.cartesian_prod(AXIS, AXIS, AXIS)
EIGHT = CarveParameters(none_below=0.75, all_from=1.0)


def discs(centre: tuple[float, float, float], radius: float) -> torch.Tensor:
    """[8, 96, 96] silhouettes of a ball by ray against sphere, one ray a pixel."""
    origins, directions = CAMERAS.rays()
    to_centre = torch.tensor(centre) - origins
    unit = torch.nn.functional.normalize(directions, dim=-1)
    along = (to_centre * unit).sum(-1, keepdim=True)
    nearest = (to_centre - along * unit).norm(dim=-1)
    return (nearest < radius).float().reshape(8, 96, 96)


def test_a_ball_is_inside_all_its_silhouettes_and_far_points_in_few() -> None:
    support = silhouette_support(discs((0.1, 0.0, -0.05), 0.25), CAMERAS, R).flatten()
    distance = (GRID - torch.tensor([0.1, 0.0, -0.05])).norm(dim=1)
    assert float(support[distance < 0.22].min()) > 0.99
    assert float(support[distance > 0.45].max()) < 0.75
    assert float(support.min()) >= 0 and float(support.max()) <= 1


def test_support_counts_the_silhouettes_that_hold_a_point() -> None:
    """One view's silhouette is empty: seven eighths remain where the ball is."""
    alphas = discs((0.0, 0.0, 0.0), 0.3)
    alphas[5] = 0
    support = silhouette_support(alphas, CAMERAS, R).flatten()
    inside = GRID.norm(dim=1) < 0.25
    torch.testing.assert_close(support[inside], torch.full((int(inside.sum()),), 7 / 8))
    assert bool((project(GRID[inside], CAMERAS) > 0).all())


def test_a_stray_blob_is_carved_and_the_object_stays() -> None:
    ball = (GRID.norm(dim=1) < 0.25).float()
    stray = ((GRID - torch.tensor([0.38, 0.38, 0.4])).norm(dim=1) < 0.08).float()
    density = (20 * (ball + stray)).reshape(R, R, R)
    carved = carve(density, discs((0.0, 0.0, 0.0), 0.28), CAMERAS, EIGHT).flatten()
    torch.testing.assert_close(carved[ball.bool()], density.flatten()[ball.bool()])
    assert float(carved[stray.bool()].max()) == 0
    assert bool((carved <= density.flatten()).all())


def test_a_part_that_fills_no_pixel_is_not_carved() -> None:
    """Half a pixel of coverage is a silhouette, a twentieth is none."""
    ball = (GRID.norm(dim=1) < 0.25).float()
    density = (20 * ball).reshape(R, R, R)
    for share, kept in ((0.5, 1.0), (0.05, 0.0)):
        carved = carve(density, share * discs((0.0, 0.0, 0.0), 0.28), CAMERAS, EIGHT)
        torch.testing.assert_close(carved, kept * density)


def test_the_shares_are_in_order() -> None:
    with pytest.raises(ValidationError, match="all_from must be above"):
        CarveParameters(none_below=0.8, all_from=0.8)


def ball_depth(radius: float) -> torch.Tensor:
    """[8, 96, 96] planar depth of a ball at the origin by ray against sphere, 0 beside it."""
    origins, directions = CAMERAS.rays()
    unit = torch.nn.functional.normalize(directions, dim=-1)
    middle = -(origins * unit).sum(-1)
    inside = radius**2 - (origins + middle[..., None] * unit).square().sum(-1)
    along = middle - inside.clamp_min(0).sqrt()
    axis = CAMERAS.world_to_camera[:, 2, :3]
    planar = along * (unit * axis.reshape(8, *[1] * (unit.dim() - 2), 3)).sum(-1)
    return torch.where(inside > 0, planar, torch.zeros(())).reshape(8, 96, 96)


def test_no_view_sees_through_a_ball_and_each_sees_what_is_before_it() -> None:
    solid = unseen_through(GRID, ball_depth(0.25), CAMERAS, 0.02)
    assert bool(solid[GRID.norm(dim=1) < 0.24].all())
    before = torch.nn.functional.normalize(CAMERAS.positions, dim=1) * 0.3
    assert not bool(unseen_through(before, ball_depth(0.25), CAMERAS, 0.02).any())
    # One view alone cannot tell a point 0.05 before the surface from it with a wider tolerance.
    first = ball_depth(0.25)[:1]
    close = [bool(unseen_through(before[:1], first, CAMERAS[:1], tolerance)) for tolerance in (0.04, 0.06)]
    assert close == [False, True]
    # Beside the ball every view sees white.
    assert not bool(solid[(GRID.norm(dim=1) > 0.4) & (GRID[:, 2] > 0)].any())
