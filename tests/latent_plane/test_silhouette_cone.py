"""The cone of a silhouette, against masks that are known and the properties of a visual hull."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from placid_kedro.cameras import orbit
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane.losses import render_density
from placid_kedro.latent_plane.silhouette_cone import SilhouetteCone

SIZE = 24
CAMERA = orbit([20.0], [30.0], [1.5], 26.0, SIZE)


class FullPlane:
    """Something opaque everywhere in the cube."""

    samples_per_ray = 256

    def density(self, features, t_emb, points):
        return torch.full((len(points),), 1e4)


NOTHING = torch.zeros(1, 1, 1, 1), torch.zeros(1)


def points_behind(rows, columns, depth):
    """Points [P, 3] at a planar depth on the rays through the centres of pixels."""
    origins, directions = CAMERA.rays()
    depth = torch.as_tensor(depth).expand(len(rows))
    return origins[0, rows, columns] + depth[:, None] * directions[0, rows, columns]


def disc(radius):
    """[H, W] coverage of a disc in the middle of the image."""
    place = torch.arange(SIZE) + 0.5 - SIZE / 2
    return (place[:, None] ** 2 + place**2 < radius**2).float()


def test_points_are_inside_where_their_pixel_is_at_any_depth():
    generator = torch.Generator().manual_seed(0)
    coverage = torch.rand(SIZE, SIZE, generator=generator)
    rows, columns = torch.randint(SIZE, (2, 200), generator=generator)
    depth = 0.7 + 1.6 * torch.rand(200, generator=generator)
    share = SilhouetteCone(coverage, CAMERA).share(points_behind(rows, columns, depth))
    torch.testing.assert_close(share, (coverage >= 0.5).float()[rows, columns], atol=1e-3, rtol=0)


def test_between_two_pixels_the_share_is_their_mean():
    coverage = torch.zeros(SIZE, SIZE)
    coverage[10, 10] = 1
    row, column = torch.tensor([10]), torch.tensor([10])
    between = (points_behind(row, column, 1.5) + points_behind(row, column + 1, 1.5)) / 2
    assert float(SilhouetteCone(coverage, CAMERA).share(between)) == pytest.approx(0.5, abs=1e-4)


def test_beside_the_image_and_behind_the_camera_is_outside():
    everything = SilhouetteCone(torch.ones(SIZE, SIZE), CAMERA)
    middle = torch.tensor([SIZE // 2])
    beside = points_behind(middle, middle, 1.5) + torch.tensor([[0.0, 0.0, 5.0]])
    behind = points_behind(middle, middle, -0.5)
    inside = points_behind(middle, middle, 1.5)
    shares = everything.share(torch.cat([beside, behind, inside]))
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.0, 1.0]))


def test_carving_multiplies_the_density():
    generator = torch.Generator().manual_seed(1)
    cone = SilhouetteCone(disc(6.0), CAMERA)
    rows, columns = torch.randint(SIZE, (2, 500), generator=generator)
    points = points_behind(rows, columns, 1.4) + 0.01
    raw_sigma = 20 * torch.randn(500, generator=generator)
    carved = F.softplus(cone.carve(raw_sigma.double(), points))
    expected = cone.share(points).double() * F.softplus(raw_sigma.double())
    assert 0 < int((expected == 0).sum()) < 500
    torch.testing.assert_close(carved, expected)
    torch.testing.assert_close(
        F.softplus(cone.carve(raw_sigma, points)), expected.float(), rtol=1e-4, atol=1e-6
    )


def test_a_full_cube_becomes_the_visual_hull():
    """In the silhouette's own view just the silhouette is left; from elsewhere what threw it is still covered."""
    radius = 0.25  # of a ball at the origin; its silhouette from a distance of 1.5
    cone = SilhouetteCone(disc(26.0 * radius / (1.5**2 - radius**2) ** 0.5), CAMERA)
    own = render_density(FullPlane(), *NOTHING, CAMERA, cone).occupancy[0]
    everything = render_density(FullPlane(), *NOTHING, CAMERA).occupancy[0]
    assert torch.equal(own > 0.5, (cone.coverage > 0.5) & (everything > 0.5))
    elsewhere = orbit([110.0, 200.0], [10.0, 60.0], [1.5], 26.0, SIZE)
    hull = render_density(FullPlane(), *NOTHING, elsewhere, cone).occupancy > 0.5
    origins, directions = elsewhere.rays()
    unit = directions / directions.norm(dim=-1, keepdim=True)
    closest = torch.linalg.cross(origins, unit).norm(dim=-1)
    ball = closest < radius - 1.5 / 26  # a pixel's width less
    assert bool(hull[ball].all()) and bool(ball.any())
    whole = render_density(FullPlane(), *NOTHING, elsewhere).occupancy > 0.5
    assert int(hull.sum()) < int(whole.sum())


def test_a_silhouette_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"size \[8, 8\], got 1 of \[24, 24\]"):
        SilhouetteCone(torch.zeros(8, 8), CAMERA)
    with pytest.raises(ShapeError, match="got 2 of"):
        SilhouetteCone(torch.zeros(SIZE, SIZE), orbit([0.0, 1.0], [30.0], [1.5], 26.0, SIZE))
