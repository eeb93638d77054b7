"""Which Gaussians views show: against weights in float64, and with Gaussians hidden in an opaque ball."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from placid_kedro.cameras import orbit, random_orbit, sphere
from placid_kedro.splats import Gaussians, UnseenParameters, largest_weights, render, without_unseen

RADIUS, OUTSIDE, INSIDE = 0.35, 3000, 400
VIEWS = UnseenParameters(views=32, image_size=96, share=0.001)


def ball_with_a_secret() -> Gaussians:
    """Opaque discs on a sphere, then red ones deep inside of it."""
    index = torch.arange(OUTSIDE) + 0.5
    z, turn = 1 - 2 * index / OUTSIDE, math.pi * (1 + 5**0.5) * index
    flat = (1 - z**2).sqrt()
    normals = torch.stack([flat * turn.cos(), flat * turn.sin(), z], dim=1)
    shell = Gaussians.from_points(RADIUS * normals, normals / 2 + 0.5, normals=normals, opacity=0.97)
    inner = 0.4 * RADIUS * torch.rand(INSIDE, 3, generator=torch.Generator().manual_seed(0))
    secret = Gaussians.from_points(inner, torch.tensor([1.0, 0.0, 0.0]).expand(INSIDE, 3), opacity=0.9)
    # Wider discs overlap, so that nothing is seen through the shell.
    return replace(shell, log_scales=shell.log_scales + 0.7).followed_by(secret)


def test_the_weights_are_those_of_a_rasterizer_in_float64(scene, oracle):
    given = scene(60, 48, 3, scale=0.05)
    gaussians = Gaussians(
        given.means.detach(),
        given.quats.detach(),
        given.scales.detach().log(),
        given.opacities.detach().logit(),
        torch.zeros(60, 1, 3),
        torch.zeros(60, 0, 3),
    )
    # In a picture whose channels are the Gaussians' numbers a pixel's values are their weights.
    image, _ = oracle.rasterize(
        gaussians.means.double(),
        gaussians.quats.double(),
        gaussians.scales.double(),
        gaussians.opacities.double(),
        torch.eye(60, dtype=torch.float64),
        given.cameras.world_to_camera.double(),
        given.cameras.K.double(),
        48,
        48,
        torch.zeros(3, 60, dtype=torch.float64),
    )
    expected = image[..., :-1].sum(dim=(1, 2)).amax(dim=0)
    found = largest_weights(gaussians, given.cameras)
    assert float((found - expected).norm() / expected.norm()) < 1e-3
    assert expected.max() > 10 and expected.min() < 2


def test_more_views_than_are_drawn_at_a_time_count_one_by_one(scene):
    given = scene(40, 32, 11)
    gaussians = Gaussians.from_points(given.means.detach(), given.colors.detach(), opacity=0.5)
    one_by_one = [largest_weights(gaussians, given.cameras[view]) for view in range(11)]
    assert torch.equal(largest_weights(gaussians, given.cameras), torch.stack(one_by_one).amax(dim=0))


def test_what_is_hidden_goes_and_what_is_seen_stays():
    whole = ball_with_a_secret()
    kept = without_unseen(whole, VIEWS)
    inside = kept.means.norm(dim=1) < 0.8 * RADIUS
    assert not inside.any()
    assert len(kept) > 0.99 * OUTSIDE
    cameras, _ = random_orbit(
        6,
        torch.Generator().manual_seed(3),
        elevation_range_deg=(-70.0, 80.0),
        distance_range=(1.2, 2.2),
        fov_range_deg=(40.0, 50.0),
        size=128,
    )
    before, after = (render(some, cameras, torch.ones(3)).rgb for some in (whole, kept))
    error = (before - after).square().mean(dim=(1, 2, 3))
    assert float(error.max()) < 10**-5


def test_the_order_and_the_values_of_those_that_stay():
    whole = ball_with_a_secret()
    kept = without_unseen(whole, VIEWS)
    row = {tuple(mean): number for number, mean in enumerate(whole.means.tolist())}
    numbers = [row[tuple(mean)] for mean in kept.means.tolist()]
    assert numbers == sorted(numbers)
    for name in vars(kept):
        assert torch.equal(getattr(kept, name), getattr(whole, name)[numbers]), name


def test_no_share_takes_only_what_shows_nothing_at_all():
    whole = ball_with_a_secret()
    behind = replace(whole, logit_opacities=torch.where(torch.arange(len(whole)) < 7, -20.0, 20.0))
    kept = without_unseen(behind, VIEWS.model_copy(update={"share": 0.0}))
    weights = largest_weights(behind, orbit([0.0], 0.0, 1.9, 90.0, 96))
    assert not weights[:7].any()
    assert len(kept) < OUTSIDE and not (kept.logit_opacities < 0).any()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_what_went_makes_up_no_more_than_its_share(share):
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(2000, 3, generator=generator) * 0.6 - 0.3
    fog = Gaussians.from_points(points, points + 0.5, opacity=0.3)
    parameters = VIEWS.model_copy(update={"share": share})
    kept = without_unseen(fog, parameters)
    went = torch.ones(2000, dtype=torch.bool)
    row = {tuple(mean): number for number, mean in enumerate(fog.means.tolist())}
    went[[row[tuple(mean)] for mean in kept.means.tolist()]] = False
    weights = largest_weights(fog, sphere(32, 1.9, 55.0, 96))
    gone = float(weights[went].sum() / weights.sum())
    assert share - 2 / 2000 < gone <= share
    assert weights[went].max() <= weights[~went].min()


def test_gaussians_that_no_view_shows_stay_all():
    clear = replace(ball_with_a_secret(), logit_opacities=torch.full((OUTSIDE + INSIDE,), -20.0))
    assert len(without_unseen(clear, VIEWS)) == OUTSIDE + INSIDE
