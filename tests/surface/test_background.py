"""Objects drawn on plain backgrounds."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from placid_kedro.errors import DataError, ShapeError
from placid_kedro.images import over_white
from placid_kedro.surface.background import fit_with_margin, remove_background

SIZE = 64


def drawn(*shapes: tuple, background: str = "white", scale: int = 4) -> torch.Tensor:
    """[3, 64, 64]: ellipses (box, colour), drawn large and made smaller, so that their edges are soft."""
    image = Image.new("RGB", (SIZE * scale, SIZE * scale), background)
    pen = ImageDraw.Draw(image)
    for box, colour in shapes:
        pen.ellipse([scale * value for value in box], fill=colour)
    small = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).float() / 255


def disc(box: tuple[float, float, float, float]) -> torch.Tensor:
    """[64, 64] share of each pixel that an ellipse covers."""
    return drawn((box, "white"), background="black")[0]


BOX = (12, 20, 44, 52)


def test_an_object_may_cover_most_of_the_border() -> None:
    """A cube seen from above its front: three quarters of the border are red, the corners are white."""
    image = torch.ones(3, SIZE, SIZE)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    inside = (x + y >= 8) & (SIZE - 1 - x + y >= 8) & (x + SIZE - 1 - y >= 8) & (2 * (SIZE - 1) - x - y >= 8)
    image[:, inside] = torch.tensor([0.9, 0.1, 0.1])[:, None]
    assert float(inside[0].float().mean()) == 0.75
    assert torch.equal(remove_background(image)[3], inside.float())


@pytest.mark.parametrize("background", ["white", "black", (90, 140, 60)])
def test_a_disc_on_a_plain_background(background: object) -> None:
    rgba = remove_background(drawn((BOX, "red"), background=background))
    covered = disc(BOX)
    assert rgba.shape == (4, SIZE, SIZE)
    alpha = rgba[3]
    assert (alpha[covered == 1] == 1).all()
    assert (alpha[covered == 0] == 0).all()
    # Less than the tolerance of a pixel is taken for background.
    assert float((alpha - covered).abs().max()) < 0.07
    # The colours are the object's, at its edge too.
    torch.testing.assert_close(
        rgba[:3, alpha > 0.2],
        torch.tensor([1.0, 0.0, 0.0])[:, None].expand(-1, int((alpha > 0.2).sum())),
        atol=0.03,
        rtol=0,
    )


def test_some_noise_does_not_matter() -> None:
    image = drawn((BOX, "navy"))
    noise = 0.04 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    alpha = remove_background((image - noise).clamp(0, 1))[3]
    covered = disc(BOX)
    assert float(alpha[covered == 1].min()) > 0.95 and (alpha[covered == 0] == 0).all()


def test_white_inside_the_object_is_kept() -> None:
    # A panda's belly: white on white, but enclosed.
    alpha = remove_background(drawn((BOX, "black"), ((20, 28, 36, 44), "white")))[3]
    assert (alpha[disc(BOX) == 1] == 1).all()


def test_the_hole_of_a_ring_is_filled_and_an_opening_is_not() -> None:
    ring = drawn((BOX, "blue"), ((20, 28, 36, 44), "white"))
    assert remove_background(ring)[3, 36, 28] == 1
    ring[:, 34:38, 28:] = 1.0  # a gap to the outside
    assert remove_background(ring)[3, 36, 28] == 0


def test_a_hole_is_as_white_as_the_background_and_a_belly_is_not() -> None:
    inner = (20, 28, 36, 44)
    for shade, hole in (("white", True), ("#f6f6f6", False), ("#fbfbfb", True)):  # 0, 0.035, 0.016 from white
        alpha = remove_background(drawn((BOX, "blue"), (inner, shade)), hole_tolerance=0.03)[3]
        covered = disc(BOX) * (1 - disc(inner)) if hole else disc(BOX)
        assert float((alpha - covered).abs().max()) < 0.07, shade
    spot = drawn((BOX, "blue"))
    spot[:, 36, 28] = 1.0
    assert remove_background(spot, hole_tolerance=0.03)[3, 36, 28] == 1  # a highlight


def test_a_white_part_that_touches_the_background_is_lost() -> None:
    half = drawn((BOX, "green"))
    half[:, :36] = 1.0
    alpha = remove_background(half)[3]
    assert (alpha[:35] == 0).all() and alpha[40, 28] == 1


def test_an_object_may_touch_the_border() -> None:
    alpha = remove_background(drawn(((-20, 10, 40, 70), "brown")))[3]
    assert alpha[40, 0] == 1 and alpha[2, 60] == 0


@pytest.mark.parametrize(
    "image", [torch.ones(3, 64, 64), drawn(((30, 30, 31, 31), "red")), drawn((BOX, "#faffff"))]
)
def test_nothing_but_background(image: torch.Tensor) -> None:
    with pytest.raises(DataError, match="nothing but its background"):
        remove_background(image)


@pytest.mark.parametrize("shape", [(4, 8, 8), (8, 8), (1, 3, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\[3, H, W\]"):
        remove_background(torch.zeros(shape))


def test_cutting_out_and_putting_back_over_white() -> None:
    image = drawn((BOX, "red"))
    again = over_white(remove_background(image))
    assert float((again - image).abs().max()) < 0.07
    assert float((again - image).abs().mean()) < 1e-3
    batch = torch.rand(2, 5, 4, 6, 6)
    expected = batch[:, :, :3] * batch[:, :, 3:] + 1 - batch[:, :, 3:]
    torch.testing.assert_close(over_white(batch), expected)


@pytest.mark.parametrize(("margin", "size"), [(0.0, 64), (0.1, 100), (0.25, 32)])
@pytest.mark.parametrize("box", [(2, 30, 18, 62), (20, 10, 60, 30)])
def test_the_object_is_centred_with_its_margin(box: tuple, margin: float, size: int) -> None:
    rgba = torch.cat([drawn((box, "red")), disc(box)[None]])
    fitted = fit_with_margin(rgba, margin, size)
    assert fitted.shape == (4, size, size)
    rows, columns = (torch.nonzero(fitted[3].amax(dim=axis) > 0.5).flatten() for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert abs(int(top) - (size - int(bottom))) <= 1 and abs(int(left) - (size - int(right))) <= 1
    height, width = int(bottom - top), int(right - left)
    assert max(height, width) == pytest.approx(size * (1 - 2 * margin), abs=2)
    assert height / width == pytest.approx((box[3] - box[1]) / (box[2] - box[0]), rel=0.15)
    # Straight alpha: the edge's colour is the object's.
    inside = fitted[3] > 0.3
    assert float((fitted[:3, inside] - torch.tensor([1.0, 0, 0])[:, None]).abs().mean()) < 0.1


def test_nothing_to_centre() -> None:
    with pytest.raises(DataError, match="no object to centre"):
        fit_with_margin(torch.zeros(4, 8, 8), 0.1, 8)


@pytest.mark.parametrize("seed", range(40))
def test_turning_and_mirroring_the_image_turns_and_mirrors_the_cut(seed: int) -> None:
    """No border counts more than another: blots anywhere, at borders and corners too."""
    generator = torch.Generator().manual_seed(seed)
    blots = (torch.rand(5, 5, generator=generator) < 0.4).float()
    image = torch.stack([1 - 0.7 * blots, 1 - 0.5 * blots, 1 - blots])
    expected = remove_background(image)
    for turns in range(4):
        for mirrored in (False, True):
            changed = torch.rot90(image, turns, dims=(1, 2))
            changed = changed.flip(2) if mirrored else changed
            cut = remove_background(changed)
            cut = cut.flip(2) if mirrored else cut
            torch.testing.assert_close(torch.rot90(cut, -turns, dims=(1, 2)), expected)


def test_alpha_is_soft_beside_the_background_only() -> None:
    """A pixel's difference from the background as a share of the largest around it; inside the object it is opaque."""
    image = torch.ones(3, 13, 13)
    image[:, 2:11, 2:11] = 0.4
    image[:, 2, 2:11] = 0.7  # half covered
    image[:, 6, 6] = 0.7  # a light spot
    alpha = remove_background(image)[3]
    expected = torch.zeros(13, 13)
    expected[2:11, 2:11] = 1.0
    expected[2, 2:11] = 0.5
    torch.testing.assert_close(alpha, expected)


def test_what_is_made_smaller_is_averaged() -> None:
    """Stripes of one pixel become grey, not stripes."""
    rgba = torch.ones(4, 96, 96)
    rgba[:3, :, ::2] = 0.0
    fitted = fit_with_margin(rgba, 0.0, 24)
    torch.testing.assert_close(fitted[:3, 4:-4, 4:-4], torch.full((3, 16, 16), 0.5), atol=0.02, rtol=0)
