"""The colours of glTF files, against values worked out by hand from the specification."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from placid_kedro.cameras import orbit
from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import Mesh, load_mesh, render_mesh
from placid_kedro.rendering.images import read_image

SQUARE_UV = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], "<f4")
LOOK = Callable[[Mesh, float, float], np.ndarray]
# A texel says where it is: red its column, green its row, 16 a step.
SIZE = 16
MAP = np.zeros((SIZE, SIZE, 3), np.uint8)
MAP[..., 0], MAP[..., 1] = np.meshgrid(np.arange(SIZE) * 16, np.arange(SIZE) * 16)


def srgb(linear: float) -> float:
    """IEC 61966-2-1, as a scalar."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def texel(color: np.ndarray) -> tuple[int, int]:
    """Column and row of a colour of `MAP`."""
    return round(float(color[0]) * 255 / 16), round(float(color[1]) * 255 / 16)


def points() -> list[tuple[float, float]]:
    """Places on the square with their texture coordinates (u, v), v downwards, away from texels' edges."""
    return [
        ((2 * column + 1) / SIZE - 1, 1 - (2 * row + 1) / SIZE)
        for column, row in ((1, 2), (9, 3), (14, 12), (4, 13))
    ]


def uv_of(x: float, y: float) -> tuple[float, float]:
    return (x + 1) / 2, (1 - y) / 2


@pytest.mark.parametrize(
    ("transform", "placed"),
    [
        ({"offset": [0.25, 0.5]}, lambda u, v: (u + 0.25, v + 0.5)),
        ({"scale": [2, 3]}, lambda u, v: (2 * u, 3 * v)),
        # Counter-clockwise as seen, with v downwards: u goes to where -v points.
        ({"rotation": np.pi / 2}, lambda u, v: (v, -u)),
        (
            {"offset": [0.1, 0.2], "rotation": np.pi / 2, "scale": [2, 1]},
            lambda u, v: (v + 0.1, -2 * u + 0.2),
        ),
    ],
)
def test_textures_are_moved_turned_and_scaled(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, transform: dict, placed: Callable
) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    reference = {"index": file.texture(MAP), "extensions": {"KHR_texture_transform": transform}}
    file.material(pbrMetallicRoughness={"baseColorTexture": reference})
    file.tree["extensionsRequired"] = ["KHR_texture_transform"]
    mesh = load_mesh(file.write(tmp_path))
    for x, y in points():
        u, v = placed(*uv_of(x, y))
        assert texel(square_color(mesh, x, y)) == (
            int(np.floor(u * SIZE)) % SIZE,
            int(np.floor(v * SIZE)) % SIZE,
        )


@pytest.mark.parametrize(
    "reference",
    [{"texCoord": 1}, {"extensions": {"KHR_texture_transform": {"texCoord": 1, "scale": [1, 1]}}}],
)
def test_the_second_set_of_texture_coordinates(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, reference: dict
) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    file.attribute("TEXCOORD_1", SQUARE_UV[:, ::-1].copy())
    file.material(pbrMetallicRoughness={"baseColorTexture": {"index": file.texture(MAP)} | reference})
    mesh = load_mesh(file.write(tmp_path))
    for x, y in points():
        u, v = uv_of(x, y)
        assert texel(square_color(mesh, x, y)) == (int(v * SIZE), int(u * SIZE))


@pytest.mark.parametrize(
    ("wrap", "columns"),
    # At u = -0.25, 0.25, 1.25, 1.75, 2.25 of a texture of 16 texels, just past each texel's left edge.
    [(10497, (12, 4, 4, 12, 4)), (33071, (0, 4, 15, 15, 15)), (33648, (3, 4, 11, 3, 4))],
)
def test_wrapping(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, wrap: int, columns: tuple[int, ...]
) -> None:
    for u, column in zip((-0.25, 0.25, 1.25, 1.75, 2.25), columns, strict=True):
        file = new_gltf()
        file.attribute("TEXCOORD_0", np.full((4, 2), (u + 0.01, 0.02), "<f4"))
        file.material(pbrMetallicRoughness={"baseColorTexture": {"index": file.texture(MAP, wrapS=wrap)}})
        assert texel(square_color(load_mesh(file.write(tmp_path)), 0.1, 0)) == (column, 0)


@pytest.mark.parametrize(
    ("kind", "scale"), [("<f4", 1.0), ("<u1", 255), ("<u2", 65535)], ids=["float", "u1", "u2"]
)
def test_texture_coordinates_may_be_normalized(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, kind: str, scale: float
) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", (SQUARE_UV * scale).astype(kind), normalized=kind != "<f4")
    file.material(pbrMetallicRoughness={"baseColorTexture": {"index": file.texture(MAP)}})
    mesh = load_mesh(file.write(tmp_path))
    for x, y in points():
        u, v = uv_of(x, y)
        assert texel(square_color(mesh, x, y)) == (int(u * SIZE), int(v * SIZE))


@pytest.mark.parametrize(
    ("kind", "scale"), [("<f4", 1.0), ("<u1", 255), ("<u2", 65535)], ids=["float", "u1", "u2"]
)
@pytest.mark.parametrize("has_material", [True, False])
def test_vertex_colours_are_linear_and_multiply_the_material(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, kind: str, scale: float, has_material: bool
) -> None:
    file = new_gltf()
    file.attribute(
        "COLOR_0", np.tile([0.2 * scale, 0.4 * scale, 1.0 * scale], (4, 1)).astype(kind), normalized=True
    )
    factor = (0.5, 0.25, 1.0) if has_material else (1, 1, 1)
    if has_material:
        file.attribute("TEXCOORD_0", SQUARE_UV)
        texture = file.texture(
            np.full((2, 2, 3), (255, 188, 255), np.uint8)
        )  # 188 of 255 is 0.5029 in linear light
        file.material(
            pbrMetallicRoughness={"baseColorFactor": [*factor, 1], "baseColorTexture": {"index": texture}}
        )
    mesh = load_mesh(file.write(tmp_path))
    assert mesh.is_colored
    green = 0.4 * factor[1] * (0.5029 if has_material else 1)
    expected = [srgb(0.2 * factor[0]), srgb(green), 1.0, 1.0]
    np.testing.assert_allclose(square_color(mesh, 0.3, 0.1), expected, atol=3e-3)


def test_whole_numbers_are_colours_also_without_being_called_normalized(
    tmp_path: Path, new_gltf: Any, square_color: LOOK
) -> None:
    file = new_gltf()
    file.attribute("COLOR_0", np.tile(np.array([51, 102, 255, 255], "<u1"), (4, 1)))
    expected = [srgb(0.2), srgb(0.4), 1, 1]
    np.testing.assert_allclose(square_color(load_mesh(file.write(tmp_path)), 0.3, 0.1), expected, atol=1e-5)


def test_vertex_colours_vary_in_linear_light(tmp_path: Path, new_gltf: Any, square_color: LOOK) -> None:
    file = new_gltf()
    file.attribute("COLOR_0", np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]], "<f4"))
    mesh = load_mesh(file.write(tmp_path))
    for x in (-0.9, -0.5, 0.0, 0.8):
        np.testing.assert_allclose(square_color(mesh, x, 0.2)[:3], srgb((x + 1) / 2), atol=1e-5)


@pytest.mark.parametrize(
    ("material", "alphas"),
    # Of texels with alpha 90, 127, 128 and 190 of 255.
    [
        ({}, (1, 1, 1, 1)),
        ({"alphaMode": "OPAQUE"}, (1, 1, 1, 1)),
        ({"alphaMode": "MASK"}, (0, 0, 1, 1)),
        ({"alphaMode": "MASK", "alphaCutoff": 0.7}, (0, 0, 0, 1)),
        ({"alphaMode": "MASK", "alphaCutoff": 0.0}, (1, 1, 1, 1)),
        ({"alphaMode": "BLEND"}, (90 / 255, 127 / 255, 128 / 255, 190 / 255)),
    ],
)
def test_alpha_modes(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, material: dict, alphas: tuple[float, ...]
) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    pixels = np.full((1, 4, 4), 255, np.uint8)
    pixels[0, :, 3] = (90, 127, 128, 190)
    file.material(pbrMetallicRoughness={"baseColorTexture": {"index": file.texture(pixels)}}, **material)
    mesh = load_mesh(file.write(tmp_path))
    seen = [square_color(mesh, x, 0.1)[3] for x in (-0.75, -0.25, 0.25, 0.75)]
    np.testing.assert_allclose(seen, alphas, atol=1e-6)


def test_no_material_is_opaque_whatever_its_vertex_colours_say(
    tmp_path: Path, new_gltf: Any, square_color: LOOK
) -> None:
    file = new_gltf()
    file.attribute("COLOR_0", np.full((4, 4), 0.5, "<f4"))
    assert square_color(load_mesh(file.write(tmp_path)), 0, 0.1)[3] == 1


@pytest.mark.parametrize("has_texture", [True, False])
def test_emission_is_seen_without_light(tmp_path: Path, new_gltf: Any, has_texture: bool) -> None:
    file = new_gltf()
    material: dict[str, Any] = {"emissiveFactor": [1, 0.25, 0]}
    if has_texture:
        file.attribute("TEXCOORD_1", SQUARE_UV)
        pixels = np.full((2, 2, 3), (255, 188, 255), np.uint8)
        material["emissiveTexture"] = {"index": file.texture(pixels), "texCoord": 1}
    file.material(
        pbrMetallicRoughness={"baseColorFactor": [0, 0, 0, 1]},
        extensions={"KHR_materials_emissive_strength": {"emissiveStrength": 2.0}},
        **material,
    )
    mesh = load_mesh(file.write(tmp_path))
    assert mesh.is_colored
    pixel = render_mesh(mesh, orbit(0.0, 0.0, 3.0, 60.0, 33)).rgba[0, 16, 16]
    green = 0.5 * (0.5029 if has_texture else 1.0)
    assert np.abs(pixel.astype(int) - [255, round(255 * srgb(green)), 0, 255]).max() <= 1


def test_a_material_without_light_is_seen_in_its_own_colour(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    file.material(
        pbrMetallicRoughness={"baseColorFactor": [0.5, 0.1, 0.02, 1]}, extensions={"KHR_materials_unlit": {}}
    )
    mesh = load_mesh(file.write(tmp_path))
    for view in render_mesh(mesh, orbit([0.0, 60.0], [0.0, 50.0], 3.0, 60.0, 33)).rgba:
        expected = [round(255 * srgb(linear)) for linear in (0.5, 0.1, 0.02)]
        assert np.abs(view[16, 16, :3].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("has_texture", [True, False])
def test_specular_glossiness_takes_the_place_of_metal_and_roughness(
    tmp_path: Path, new_gltf: Any, square_color: LOOK, has_texture: bool
) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    glossy: dict[str, Any] = {"diffuseFactor": [0.2, 0.6, 0.1, 1.0]}
    if has_texture:
        glossy = {"diffuseTexture": {"index": file.texture(MAP)}}
    file.material(
        pbrMetallicRoughness={"baseColorFactor": [0, 0, 0, 1]},
        extensions={"KHR_materials_pbrSpecularGlossiness": glossy},
    )
    color = square_color(load_mesh(file.write(tmp_path)), *points()[1])
    if has_texture:
        assert texel(color) == (9, 3)
    else:
        np.testing.assert_allclose(color[:3], [srgb(0.2), srgb(0.6), srgb(0.1)], atol=1e-5)


def test_one_image_is_held_once(tmp_path: Path, new_gltf: Any) -> None:
    """80 materials, 80 textures and 3 samplers of one image."""
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    first = file.texture(MAP)
    source = file.tree["textures"][first]["source"]
    for number in range(80):
        sampler = file.add("samplers", {"wrapS": (10497, 33071, 33648)[number % 3]})
        texture = file.add("textures", {"source": source, "sampler": sampler})
        file.material(pbrMetallicRoughness={"baseColorTexture": {"index": texture}})
        file.tree["meshes"][0]["primitives"].append(dict(file.primitive))
    mesh = load_mesh(file.write(tmp_path))
    assert (mesh.image_count(), len(mesh.textures)) == (1, 3)
    assert len({texture.pixels.__array_interface__["data"][0] for texture in mesh.textures}) == 1


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)), [0, 1, 128, 255]),
        (Image.fromarray(np.array([[0, 1, 128, 255]], np.uint8)), [0, 1, 128, 255]),
        (
            Image.fromarray(np.array([[0, 1, 128, 255]], np.uint8)).convert("RGB").quantize(4),
            [0, 1, 128, 255],
        ),
        (Image.fromarray(np.array([[False, True]])), [0, 255]),
    ],
    ids=["gray16", "gray8", "palette", "one bit"],
)
def test_pixels_of_every_depth(image: Image.Image, expected: list[int]) -> None:
    pixels = read_image(encoded(image), "a", 100)
    assert pixels[0, :, :3].tolist() == [[value] * 3 for value in expected]
    assert (pixels[..., 3] == 255).all()


def test_pixels_with_alpha() -> None:
    gray = Image.fromarray(np.array([[[7, 90], [200, 255]]], np.uint8), "LA")
    assert read_image(encoded(gray), "a", 100)[0].tolist() == [[7, 7, 7, 90], [200, 200, 200, 255]]


def test_what_is_no_image_or_too_large() -> None:
    with pytest.raises(RejectedAsset) as raised:
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n", "a", 100)
    assert raised.value.reason is Reason.TEXTURE_UNREADABLE
    cut = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9), np.uint8)))[:-60]
    with pytest.raises(RejectedAsset) as raised:
        read_image(cut, "a", 100)
    assert raised.value.reason is Reason.TEXTURE_UNREADABLE
    with pytest.raises(RejectedAsset) as raised:
        read_image(encoded(Image.new("L", (11, 10))), "a", 100)
    assert raised.value.reason is Reason.TOO_LARGE


def test_a_texture_with_another_image_that_is_read(tmp_path: Path, new_gltf: Any, square_color: LOOK) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    texture = file.texture(MAP)
    file.tree["textures"][texture]["extensions"] = {"KHR_texture_basisu": {"source": 9}}
    file.tree["extensionsUsed"] = ["KHR_texture_basisu"]
    file.material(pbrMetallicRoughness={"baseColorTexture": {"index": texture}})
    assert texel(square_color(load_mesh(file.write(tmp_path)), *points()[0])) == (1, 2)


@pytest.mark.parametrize("name", ["KHR_techniques_webgl", "KHR_materials_common"])
def test_colours_in_other_words_are_refused_by_name(tmp_path: Path, new_gltf: Any, name: str) -> None:
    file = new_gltf()
    file.material(extensions={name: {"values": {}}})
    with pytest.raises(RejectedAsset, match=name) as raised:
        load_mesh(file.write(tmp_path))
    assert raised.value.reason is Reason.UNKNOWN_FORMAT


@pytest.mark.parametrize(
    "name", ["KHR_texture_basisu", "MSFT_texture_dds", "EXT_texture_avif", "VENDOR_texture"]
)
def test_a_texture_that_is_only_in_another_format_is_refused_by_name(
    tmp_path: Path, new_gltf: Any, name: str
) -> None:
    file = new_gltf()
    file.attribute("TEXCOORD_0", SQUARE_UV)
    texture = file.texture(MAP)
    file.tree["textures"][texture] = {"extensions": {name: {"source": 0}}}
    file.material(pbrMetallicRoughness={"baseColorTexture": {"index": texture}})
    with pytest.raises(RejectedAsset, match=rf"{name}.*gltf-transform") as raised:
        load_mesh(file.write(tmp_path))
    assert raised.value.reason is Reason.UNKNOWN_FORMAT


def test_a_texture_without_an_image(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    file.material(pbrMetallicRoughness={"baseColorTexture": {"index": file.add("textures", {})}})
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(file.write(tmp_path))
    assert raised.value.reason is Reason.TEXTURE_UNREADABLE
