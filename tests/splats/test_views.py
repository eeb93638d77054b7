"""Gaussians through cameras: where they appear, in which colour, how far away."""

from __future__ import annotations

import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.errors import ShapeError
from placid_kedro.splats import Gaussians, render

SIZE, FOCAL, DISTANCE = 64, 80.0, 1.5


def ball(center: tuple[float, float, float], color: tuple[float, float, float]) -> Gaussians:
    points = torch.tensor([center, center])
    gaussians = Gaussians.from_points(points, torch.tensor([color, color]), opacity=0.99)
    gaussians.log_scales.fill_(-3.9)
    return gaussians


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "center", "right", "up", "nearer"),
    [
        (0.0, 0.0, (0.0, 0.2, 0.0), 0.2, 0.0, 0.0),
        (0.0, 0.0, (0.0, 0.0, 0.2), 0.0, 0.2, 0.0),
        (0.0, 0.0, (0.3, 0.0, 0.0), 0.0, 0.0, 0.3),
        (90.0, 0.0, (0.2, 0.0, 0.0), -0.2, 0.0, 0.0),
        (180.0, 0.0, (0.3, 0.1, 0.0), -0.1, 0.0, -0.3),
        (0.0, 60.0, (0.0, 0.0, 0.2), 0.0, 0.1, 0.2 * 3**0.5 / 2),
    ],
)
def test_where_a_ball_appears(azimuth_deg, elevation_deg, center, right, up, nearer):
    cameras = orbit(azimuth_deg, elevation_deg, DISTANCE, FOCAL, SIZE)
    views = render(ball(center, (1.0, 0.5, 0.0)), cameras, torch.zeros(3))
    depth = DISTANCE - nearer
    weights = views.alpha[0, 0] / views.alpha.sum()
    rows, columns = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    assert float((weights * columns).sum()) == pytest.approx(SIZE / 2 + FOCAL * right / depth, abs=0.05)
    assert float((weights * rows).sum()) == pytest.approx(SIZE / 2 - FOCAL * up / depth, abs=0.05)
    solid = views.alpha[0, 0] > 0.5
    torch.testing.assert_close(views.depth[0, 0][solid], torch.full((int(solid.sum()),), depth))
    covered = views.rgb[0] / views.alpha[0]
    torch.testing.assert_close(
        covered[:, solid].mean(dim=1), torch.tensor([1.0, 0.5, 0.0]), atol=1e-3, rtol=0
    )


def test_backgrounds_fill_what_is_empty():
    cameras = orbit([0.0, 90.0], 0.0, DISTANCE, FOCAL, SIZE)
    backgrounds = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.5, 1.0]])
    views = render(ball((0.0, 0.0, 0.0), (0.2, 0.2, 0.2)), cameras, backgrounds)
    assert views.rgb.shape == (2, 3, SIZE, SIZE) and views.depth.shape == (2, 1, SIZE, SIZE)
    assert torch.equal(views.rgb[:, :, 0, 0], backgrounds) and not views.depth[:, :, 0, 0].any()
    one = render(ball((0.0, 0.0, 0.0), (0.2, 0.2, 0.2)), cameras, backgrounds[0])
    assert torch.equal(one.rgb[1, :, 0, 0], backgrounds[0])


def test_gradients_reach_the_parameters():
    cameras = orbit([0.0, 120.0], 20.0, DISTANCE, FOCAL, SIZE)
    parameters = ball((0.0, 0.1, 0.0), (0.2, 0.9, 0.2)).with_sh_degree(1).to_parameters()
    views = render(Gaussians.from_parameters(parameters), cameras, torch.zeros(3))
    (views.rgb[..., :20].sum() + views.depth.sum() + views.rgb[:, 0].square().sum()).backward()
    for name in ("means", "scales", "opacities", "sh0", "shN"):
        assert parameters[name].grad.abs().max() > 0, name


def test_a_background_of_another_shape():
    cameras = orbit([0.0, 90.0], 0.0, DISTANCE, FOCAL, SIZE)
    with pytest.raises(ShapeError, match="background"):
        render(ball((0.0, 0.0, 0.0), (0.2, 0.2, 0.2)), cameras, torch.zeros(3, 3))
