"""Reference images: drawn or the user's own, cut out and checked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from placid_kedro.errors import DataError
from placid_kedro.surface.background import remove_background
from placid_kedro.surface.pictures import read_picture
from placid_kedro.surface.reference_config import (
    FloodFillBackground,
    MaskParameters,
    ReferenceParameters,
)
from placid_kedro.surface.reference_image import check_mask, drawn_reference, own_reference

RULES = MaskParameters(smallest=0.01, largest=0.85, border=0.35, pieces=3)


def parameters(attempts: int = 1, margin: float | None = None) -> ReferenceParameters:
    return ReferenceParameters(
        image="",
        image_margin=0.1,
        template="{prompt}",
        steps=1,
        guidance_scale=1.0,
        attempts=attempts,
        margin=margin,
        background=FloodFillBackground(),
        mask=RULES,
    )


def disc(size: int = 64, background: str = "white") -> Image.Image:
    image = Image.new("RGB", (size, size), background)
    ImageDraw.Draw(image).ellipse((size // 4, size // 8, size // 2, 3 * size // 8), fill="red")
    return image


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


def mask(*boxes: tuple[int, int, int, int]) -> torch.Tensor:
    """[40, 40], 1 inside boxes (top, left, bottom, right)."""
    alpha = torch.zeros(40, 40)
    for top, left, bottom, right in boxes:
        alpha[top:bottom, left:right] = 1.0
    return alpha


@pytest.mark.parametrize(
    ("alpha", "said"),
    [
        (torch.zeros(40, 40), "Only 0.0% of the image"),
        (mask((3, 3, 6, 6)), "Only 0.6% of the image"),
        (mask((1, 1, 40, 40)), "would fill 95% of the image"),
        (mask((20, 0, 40, 40)), "cover 50% of the image's border"),
        (mask(*((r, c, r + 4, c + 4) for r in (4, 14, 24) for c in (4, 14))), "in 6 pieces"),
    ],
)
def test_what_is_not_one_object_is_refused(alpha: torch.Tensor, said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_mask(alpha, RULES)


@pytest.mark.parametrize(
    "alpha",
    [
        mask((5, 5, 30, 30)),
        mask((5, 5, 25, 30), (30, 5, 38, 30), (26, 8, 28, 12)),
        # Crumbs that hold less than a tenth do not make it many pieces.
        mask((5, 5, 30, 30), *((34, c, 36, c + 1) for c in range(2, 38, 4))),
        # Pieces that touch at a corner are one.
        mask(*((4 * i, 4 * i, 4 * i + 4, 4 * i + 4) for i in range(1, 8))),
    ],
)
def test_one_object_passes(alpha: torch.Tensor) -> None:
    check_mask(alpha, RULES)


def test_drawing_goes_on_until_one_object_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    plain, good = torch.ones(3, 64, 64), tensor(disc())
    drawn: list[int] = []

    def draw(attempt: int) -> torch.Tensor:
        drawn.append(attempt)
        return good if attempt == 2 else plain

    with caplog.at_level("WARNING"):
        reference = drawn_reference(draw, remove_background, parameters(attempts=5))
    assert drawn == [0, 1, 2]
    torch.testing.assert_close(reference, remove_background(good))
    assert [record.getMessage()[:24] for record in caplog.records] == [
        "reference image 1 of 5: ",
        "reference image 2 of 5: ",
    ]
    with pytest.raises(
        DataError, match=r"None of 2 reference images could be cut out \(.*reference.attempts"
    ):
        drawn_reference(draw, remove_background, parameters(attempts=2))


def test_the_margin_of_drawn_images() -> None:
    reference = drawn_reference(lambda _: tensor(disc()), remove_background, parameters(margin=0.25))
    rows = torch.nonzero(reference[3].amax(1) > 0.5).flatten()
    assert reference.shape == (4, 64, 64)
    assert (int(rows[0]), int(rows[-1])) == (16, 47)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_picture_of_ones_own(tmp_path: Path, transparent: bool) -> None:
    image = disc(200, background="white" if not transparent else "green")
    if transparent:
        # What is transparent is not looked at, whatever its colour.
        image.putalpha(Image.fromarray((np.asarray(image)[..., 0] > 128).astype(np.uint8) * 255))
    image.save(tmp_path / "photo.png")
    reference = own_reference(tmp_path / "photo.png", remove_background, parameters())
    assert reference.shape == (4, 512, 512)
    inside = reference[3] > 0.5
    assert float(inside.float().mean()) == pytest.approx(np.pi / 4 * 0.8**2, rel=0.04)
    rows, columns = (torch.nonzero(inside.any(axis)).flatten() for axis in (0, 1))
    for found in (rows, columns):
        assert (int(found[0]), int(found[-1])) == pytest.approx((51, 460), abs=3)
    middle = reference[:3, 200:312, 200:312]
    torch.testing.assert_close(middle, torch.tensor([1.0, 0, 0])[:, None, None].expand_as(middle))


def test_a_photo_of_a_room_is_one_sentence(tmp_path: Path) -> None:
    y, x = np.mgrid[0:120, 0:160]
    room = np.stack([x + y // 2, 200 - y + x // 3, (x * y) % 256], axis=-1).clip(0, 255).astype(np.uint8)
    Image.fromarray(room).save(tmp_path / "room.jpg")
    with pytest.raises(DataError, match=r"room\.jpg does not show one object alone") as raised:
        own_reference(tmp_path / "room.jpg", remove_background, parameters())
    assert "\n" not in str(raised.value)
    assert "reference.background" in str(raised.value)


def test_an_empty_alpha_is_one_sentence(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (200, 30, 30, 0)).save(tmp_path / "nothing.png")
    with pytest.raises(DataError, match=r"does not show one object alone.*Only 0\.0%"):
        own_reference(tmp_path / "nothing.png", remove_background, parameters())


def test_what_pictures_are_read(tmp_path: Path) -> None:
    image = disc(64)
    red = torch.tensor([1.0, 0, 0])
    for name in ("a.png", "a.bmp", "a.tif", "a.webp", "a.gif"):
        image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
        pixels = read_picture(tmp_path / name)
        assert pixels.shape == (3, 64, 64) and pixels.dtype == torch.float32
        torch.testing.assert_close(pixels[:, 16, 24], red)
    image.convert("P").save(tmp_path / "palette.png", transparency=image.convert("P").getpixel((0, 0)))
    palette = read_picture(tmp_path / "palette.png")
    assert palette.shape == (4, 64, 64) and palette[3, 0, 0] == 0 and palette[3, 16, 24] == 1
    Image.fromarray(np.full((40, 50), 257 * 128, np.uint16)).save(tmp_path / "deep.png")
    torch.testing.assert_close(read_picture(tmp_path / "deep.png"), torch.full((3, 40, 50), 128 / 255))
    wide = Image.new("RGB", (3000, 1500), "navy")
    wide.save(tmp_path / "wide.png")
    assert read_picture(tmp_path / "wide.png").shape == (3, 512, 1024)


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40), "white")
    image.paste("red", (0, 0, 20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the picture's left edge is its top
    image.save(tmp_path / "turned.png", exif=exif)
    pixels = read_picture(tmp_path / "turned.png")
    assert pixels.shape == (3, 80, 40)
    assert float(pixels[1, :20].max()) == 0 and float(pixels[1, 20:].min()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no picture"),
        (b"", "cannot be read as a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "cannot be read as a picture"),
        ("cut", "cannot be read as a picture"),
        ("small", "has 31 x 90 pixels"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes | str | None, said: str) -> None:
    path = tmp_path / "photo.png"
    if content == "cut":
        Image.effect_noise((90, 90), 50).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif content == "small":
        Image.new("RGB", (31, 90)).save(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(DataError, match=said) as raised:
        read_picture(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
