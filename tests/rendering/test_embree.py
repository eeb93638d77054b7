"""Images and depth against closed forms: a cube's silhouette, depth and light, and which side is where."""

import numpy as np
import pytest
import torch
import trimesh

from placid_kedro.cameras import Cameras, orbit
from placid_kedro.rendering import Mesh, Part, painted_part, render_mesh
from placid_kedro.rendering.embree import AMBIENT, FROM_ABOVE, FROM_THE_EYE
from placid_kedro.rendering.mesh import merge_parts
from placid_kedro.rendering.surfaces import Paint, Surface, Texture

RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)


def box(
    extents: tuple[float, float, float], center: tuple[float, float, float], color: tuple[int, ...]
) -> Part:
    """A box in a file's axes (y up)."""
    mesh = trimesh.creation.box(extents, trimesh.transformations.translation_matrix(center))
    mesh.visual.vertex_colors = color
    return painted_part(mesh)


@pytest.fixture
def cube() -> Mesh:
    return merge_parts([box((2, 2, 2), (5, 5, 5), RED)], "cube")


def box_depth(cameras: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """Planar depth of the unit cube along every ray in float64 by the slab method (infinite where it misses), and how
    far each ray is from missing or hitting it."""
    origins, directions = (part.double().numpy() for part in cameras.rays())
    with np.errstate(divide="ignore"):
        planes = np.stack([(-0.5 - origins) / directions, (0.5 - origins) / directions])
    near, far = planes.min(axis=0).max(axis=-1), planes.max(axis=0).min(axis=-1)
    return np.where(near <= far, near, np.inf), np.abs(far - near)


def test_a_cube_from_the_front_covers_a_square(cube: Mesh) -> None:
    # The front face is 2.5 away and 1 wide: 60 * 1 / 2.5 = 24 pixels.
    render = render_mesh(cube, orbit(0.0, 0.0, 3.0, 60.0, 64))
    covered = np.zeros((64, 64), bool)
    covered[20:44, 20:44] = True
    assert np.array_equal(render.rgba[0, ..., 3] == 255, covered)
    assert np.array_equal(render.rgba[0, ..., 3] == 0, ~covered)
    np.testing.assert_allclose(render.depth[0][covered], 2.5, atol=1e-5)
    assert not render.depth[0][~covered].any()


def test_depth_and_mask_of_a_cube_from_anywhere(cube: Mesh) -> None:
    random = torch.Generator().manual_seed(3)
    azimuth = 360 * torch.rand(6, generator=random)
    elevation = -80 + 160 * torch.rand(6, generator=random)
    cameras = orbit(azimuth, elevation, 1.7, 45.0, 48)
    expected, margin = box_depth(cameras)
    render = render_mesh(cube, cameras, supersample=1)
    clear = margin > 1e-4
    assert clear.mean() > 0.95
    hit = np.isfinite(expected)
    assert np.array_equal(render.rgba[..., 3][clear] > 0, hit[clear])
    np.testing.assert_allclose(render.depth[clear & hit], expected[clear & hit], atol=2e-5)
    assert not render.depth[clear & ~hit].any()


def test_alpha_is_the_share_of_rays_that_hit(cube: Mesh) -> None:
    # A silhouette of 25 pixels ends in the middle of a pixel on both sides.
    render = render_mesh(cube, orbit(0.0, 0.0, 3.0, 62.5, 64), supersample=2)
    row = render.rgba[0, 32, :, 3]
    assert (row[19], row[20], row[43], row[44]) == (128, 255, 255, 128)
    assert render.depth[0, 32, 19] == pytest.approx(2.5, abs=1e-5)


@pytest.mark.parametrize("azimuth", [0.0, 90.0, 180.0, 270.0])
def test_light_on_a_wall(cube: Mesh, azimuth: float) -> None:
    pixel = render_mesh(cube, orbit(azimuth, 0.0, 3.0, 60.0, 65)).rgba[0, 32, 32]
    level = round(255 * (AMBIENT + FROM_ABOVE / 2 + FROM_THE_EYE))
    assert np.abs(pixel.astype(int) - [level, 0, 0, 255]).max() <= 1


def test_nothing_is_mirrored_and_the_front_is_at_azimuth_zero() -> None:
    """In the file +z is the front, +x its left hand (the viewer's right) and +y up."""
    parts = [
        box((2, 2, 2), (0, 0, 0), (90, 90, 90, 255)),
        box((0.4, 0.4, 0.4), (0, 0, 1.2), RED),
        box((0.4, 0.4, 0.4), (1.2, 0, 0), GREEN),
        box((0.4, 0.4, 0.4), (0, 1.2, 0), BLUE),
    ]
    mesh = merge_parts(parts, "axes")
    front, left, back = render_mesh(mesh, orbit([0.0, 90.0, 180.0], 10.0, 2.2, 90.0, 96)).rgba.astype(float)

    def center(image: np.ndarray, channel: int) -> np.ndarray | None:
        others = [other for other in range(3) if other != channel]
        pure = (image[..., channel] > 60) & (image[..., others].max(axis=-1) < 20) & (image[..., 3] == 255)
        return np.argwhere(pure).mean(axis=0) if pure.any() else None

    middle = 47.5
    red, green, blue = (center(front, channel) for channel in range(3))
    assert abs(red[1] - middle) < 6  # the front looks at the viewer (centring moves it a little)
    assert green[1] > middle + 10  # +x of the file is on the viewer's right
    assert blue[0] < middle - 10
    assert center(back, 0) is None
    assert center(back, 1)[1] < middle - 10
    # Counter-clockwise: from azimuth 90 one looks at +x of the file, and the front is on the left.
    assert abs(center(left, 1)[1] - middle) < 6
    assert center(left, 0)[1] < middle - 10


def test_a_texture_is_neither_mirrored_nor_upside_down() -> None:
    image = np.array([[RED, GREEN], [BLUE, (255, 255, 255, 255)]], np.uint8)
    # A square that faces the front (+z): its corners from bottom left, with v upwards.
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    square = Part(
        np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float),
        np.array([[0, 1, 2], [0, 2, 3]]),
        Surface(Paint(np.ones((4, 4), np.float32), uv, Texture(image))),
    )
    pixels = render_mesh(merge_parts([square], "square"), orbit(0.0, 0.0, 3.0, 90.0, 64)).rgba[0]
    seen = {
        name: tuple(pixels[place][:3] > 100)
        for name, place in {"tl": (24, 24), "tr": (24, 40), "bl": (40, 24), "br": (40, 40)}.items()
    }
    assert seen == {
        "tl": (True, False, False),
        "tr": (False, True, False),
        "bl": (False, False, True),
        "br": (True, True, True),
    }


def test_glass_in_front_of_a_wall_is_blended() -> None:
    wall = box((2, 2, 0.1), (0, 0, -0.5), RED)
    glass = box((2, 2, 0.1), (0, 0, 0.5), (0, 255, 0, 102))
    pixel = render_mesh(merge_parts([wall, glass], "window"), orbit(0.0, 0.0, 3.0, 60.0, 33)).rgba[0, 16, 16]
    # Two layers of glass (its front and its back) let 0.6 * 0.6 of the light through.
    light = AMBIENT + FROM_ABOVE / 2 + FROM_THE_EYE
    expected = np.array([0.36, 0.64, 0.0]) * light * 255
    assert np.abs(pixel[:3] - expected).max() <= 1.5
    assert pixel[3] == 255


def test_the_longest_side_becomes_one_and_the_others_keep_their_ratio() -> None:
    mesh = merge_parts([box((4, 2, 1), (7, -3, 2), RED)], "plank")
    # File x, y, z are the world's y, z, x.
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [0.25, 1.0, 0.5], atol=1e-6)
    np.testing.assert_allclose(mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0), 0, atol=1e-6)


def test_two_runs_are_equal_to_the_bit(cube: Mesh) -> None:
    cameras = orbit([10.0, 200.0], 25.0, 1.5, 70.0, 32)
    first, second = render_mesh(cube, cameras), render_mesh(cube, cameras)
    assert first.rgba.tobytes() == second.rgba.tobytes()
    assert first.depth.tobytes() == second.depth.tobytes()
