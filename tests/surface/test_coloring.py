"""Colours of points on objects whose colours and occlusions are known."""

from __future__ import annotations

import math

import pytest
import torch

from placid_kedro.cameras import multiview_cameras, orbit
from placid_kedro.errors import DataError, ParameterError, ShapeError
from placid_kedro.surface.coloring import color_points, point_depth_maps
from placid_kedro.surface.point_clouds import sphere


def paint(points):
    """A smooth colour for every place."""
    return 0.5 + 0.5 * points / points.norm(dim=-1, keepdim=True)


def sphere_views(cameras, radius):
    """True images, depth and alpha of a painted sphere by ray intersection."""
    origins, directions = cameras.rays()
    squared = directions.square().sum(-1)
    closest = -(origins * directions).sum(-1) / squared
    gap = (origins + closest[..., None] * directions).norm(dim=-1)
    alpha = (gap < radius).float()
    depth = closest - ((radius**2 - gap**2).clamp(min=0) / squared).sqrt()
    colors = paint(origins + depth[..., None] * directions)
    images = torch.where(alpha[..., None] > 0, colors, torch.ones_like(colors))
    return images.permute(0, 3, 1, 2), torch.where(alpha > 0, depth, torch.inf), alpha


def test_points_take_the_true_colours_of_the_side_that_is_seen():
    cameras = multiview_cameras(96)
    images, depth, alpha = sphere_views(cameras, 0.4)
    cloud = sphere(3000, 0.4, torch.Generator().manual_seed(0))
    colored = color_points(cloud.points, images, cameras, depth, normals=cloud.normals, alphas=alpha)
    # From 30 degrees above only the cap at the bottom is hidden.
    assert colored.seen[cloud.points[:, 2] > -0.2].all()
    assert not colored.seen[cloud.points[:, 2] < -0.38].any()
    error = (colored.colors - paint(cloud.points)).abs().amax(-1)
    assert error[colored.seen].mean() < 0.01 and error[colored.seen].quantile(0.99) < 0.08
    # What no view sees looks like its neighbourhood.
    assert error[~colored.seen].mean() < 0.3


def test_points_depth_maps_are_those_of_the_surface():
    cameras = multiview_cameras(64)
    _, depth, alpha = sphere_views(cameras, 0.4)
    cloud = sphere(20000, 0.4, torch.Generator().manual_seed(1))
    maps = point_depth_maps(cloud.points, cameras, 0.01)
    both = (alpha > 0) & maps.isfinite()
    assert both.sum() > 0.99 * alpha.sum()
    # A square is as deep as its centre: towards the silhouette it stands before the surface, never behind it.
    difference = (maps - depth)[both]
    assert difference.median().abs() < 0.02 and difference.max() < 0.02
    # Squares reach at most a pixel over the silhouette, and begin in the pixel that holds their centre.
    grown = torch.nn.functional.max_pool2d(alpha[:, None], 5, 1, 2)[:, 0]
    assert not maps.isfinite()[grown == 0].any()


def test_a_wall_hides_what_stands_behind_it():
    """Seen from +x, a red wall covers a point; only the view from -x, where all is green, can colour it."""
    cameras = orbit([0.0, 180.0], 0.0, 1.5, 40.0, 32)
    images = torch.zeros(2, 3, 32, 32)
    images[0, 0], images[1, 1] = 1, 1
    wall = torch.cartesian_prod(
        torch.tensor([0.2]), torch.linspace(-0.4, 0.4, 60), torch.linspace(-0.4, 0.4, 60)
    )
    hidden = torch.tensor([[-0.2, 0.05, 0.02]])
    points = torch.cat([wall, hidden])
    colored = color_points(points, images, cameras, point_depth_maps(points, cameras, 0.01))
    torch.testing.assert_close(colored.colors[-1], torch.tensor([0.0, 1.0, 0.0]))
    # Without normals a wall is seen from both sides, except where the point itself covers it.
    torch.testing.assert_close(colored.colors[0], torch.tensor([0.5, 0.5, 0.0]))
    normals = torch.tensor([1.0, 0.0, 0.0]).expand(len(points), 3)
    facing = color_points(points, images, cameras, point_depth_maps(points, cameras, 0.01), normals=normals)
    torch.testing.assert_close(facing.colors[0], torch.tensor([1.0, 0.0, 0.0]))
    # The hidden point looks the wrong way now: unseen, it takes its nearest neighbour's colour.
    assert not facing.seen[-1]
    torch.testing.assert_close(facing.colors[-1], torch.tensor([1.0, 0.0, 0.0]))


def test_sharpness_prefers_the_straighter_view():
    cameras = orbit([0.0, 60.0], 0.0, 1.5, 40.0, 32)
    images = torch.zeros(2, 3, 32, 32)
    images[1] = 1
    point, normal = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    depth = torch.full((2, 32, 32), torch.inf)
    for sharpness in (0.0, 1.0, 3.0):
        value = color_points(point, images, cameras, depth, normals=normal, sharpness=sharpness).colors
        # Cosines are 1 and 1/2.
        share = 0.5**sharpness / (1 + 0.5**sharpness)
        torch.testing.assert_close(value, torch.full((1, 3), share))


def test_background_gives_no_colour():
    cameras = orbit([0.0, 180.0], 0.0, 1.5, 40.0, 32)
    images = torch.zeros(2, 3, 32, 32)
    images[1] = 1
    alphas = torch.zeros(2, 32, 32)
    alphas[1] = 1
    depth = torch.full((2, 32, 32), torch.inf)
    colored = color_points(torch.zeros(1, 3), images, cameras, depth, alphas=alphas)
    torch.testing.assert_close(colored.colors, torch.ones(1, 3))


def test_bad_inputs_are_named():
    cameras = orbit([0.0, 180.0], 0.0, 1.5, 40.0, 32)
    depth = torch.full((2, 32, 32), torch.inf)
    with pytest.raises(ShapeError, match=r"images \[2, 3, 32, 32\]"):
        color_points(torch.zeros(1, 3), torch.zeros(2, 3, 16, 16), cameras, depth)
    with pytest.raises(ShapeError, match="alphas"):
        color_points(
            torch.zeros(1, 3), torch.zeros(2, 3, 32, 32), cameras, depth, alphas=torch.zeros(2, 8, 8)
        )
    with pytest.raises(DataError, match="No view sees"):
        color_points(torch.zeros(1, 3), torch.zeros(2, 3, 32, 32), cameras, torch.zeros(2, 32, 32))
    with pytest.raises(ParameterError, match="positive"):
        point_depth_maps(torch.zeros(1, 3), cameras, 0.0)


def test_depth_maps_are_squares_of_the_points_size_pixel_by_pixel():
    """Written out: points everywhere, also behind a camera and beside the image, in a wide and in a tall image."""
    generator = torch.Generator().manual_seed(6)
    points = 1.6 * (torch.rand(60, 3, generator=generator) - 0.5)
    points[0] = torch.tensor([3.0, 0.0, 0.0])  # behind the first camera
    radius = 0.04
    for width, height in ((9, 6), (6, 9)):
        cameras = orbit([0.0, 130.0], [0.0, 35.0], [1.5, 1.2], 7.0, 8).resized(width, height)
        expected = torch.full((2, height, width), torch.inf)
        for view in range(2):
            in_camera = (
                cameras.world_to_camera[view, :3, :3] @ points.T + cameras.world_to_camera[view, :3, 3:]
            )
            for x, y, z in (cameras.K[view] @ in_camera).T.tolist():
                if z <= 1e-6:
                    continue
                column, row = math.floor(x / z), math.floor(y / z)
                reach = round(float(cameras.K[view, 0, 0]) * radius / z)
                for r in range(max(0, row - reach), min(height, row + reach + 1)):
                    for c in range(max(0, column - reach), min(width, column + reach + 1)):
                        expected[view, r, c] = min(expected[view, r, c], z)
        torch.testing.assert_close(point_depth_maps(points, cameras, radius), expected, rtol=1e-5, atol=1e-5)
        assert expected.isinf().any() and not expected.isinf().all()


def test_a_point_outside_of_every_image_takes_the_nearest_points_colour():
    cameras = orbit([0.0], [0.0], [1.5], 30.0, 16)
    points = torch.tensor([[0.0, -0.2, 0.0], [0.0, 0.2, 0.0], [0.0, 3.0, 0.0], [4.0, 0.0, 0.0]])
    images = torch.zeros(1, 3, 16, 16)
    images[0, 0, :, :8], images[0, 1, :, 8:] = 1.0, 1.0
    colors = color_points(points, images, cameras, torch.full((1, 16, 16), torch.inf))
    assert colors.seen.tolist() == [True, True, False, False]
    torch.testing.assert_close(colors.colors[2], colors.colors[1])
    assert not torch.equal(colors.colors[0], colors.colors[1])
