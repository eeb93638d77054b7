"""The surfaces that MTL materials give to parts of OBJ files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.images import read_image
from placid_kedro.rendering.limits import MeshLimits
from placid_kedro.rendering.mtl import MtlMaterial, TextureStatement, local_name
from placid_kedro.rendering.side_files import SideFiles
from placid_kedro.rendering.surfaces import (
    BLENDED,
    CLAMP,
    REPEAT,
    Paint,
    Surface,
    Texture,
    plain_paint,
    srgb_to_linear,
    unpainted,
)

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


class MtlSurfaces:
    """Gives parts their surfaces; an image is decoded once.

    Args:
        materials: by name.
        files: where the images are.
        limits: of their size.
        asset: the mesh file's name, for messages.
    """

    def __init__(
        self, materials: dict[str, MtlMaterial], files: SideFiles, limits: MeshLimits, asset: str
    ) -> None:
        self._materials = materials
        self._files = files
        self._limits = limits
        self._asset = asset
        self._pixels: dict[str, NDArray[np.uint8]] = {}
        self._textures: dict[tuple[TextureStatement | None, TextureStatement | None], Texture] = {}

    def surface(
        self,
        name: str | None,
        uv: NDArray[np.float64] | None,
        colors: NDArray[np.float64] | None,
        count: int,
    ) -> Surface:
        """The surface of a part.

        Vertex colours, which the format's authors never described, take the place of `Kd`; a texture takes the place
        of both.

        Args:
            name: of its material, or None.
            uv: [V, 2], or None where the part has none: then it has no texture either.
            colors: [V, 3] sRGB vertex colours, or None.
            count: V.

        Raises:
            RejectedAsset: a texture cannot be read.
        """
        material = self._materials.get(name) if name is not None else None
        if material is None:
            return unpainted(count) if colors is None else Surface(_varied(colors, 1.0), alpha_cutoff=BLENDED)
        texture = self._texture(material.diffuse_map, material.opacity_map)
        emission = self._emission(material, uv, count)
        if uv is not None and texture is not None:
            placement = material.diffuse_map or material.opacity_map
            assert placement is not None
            has_color = material.diffuse_map is not None
            factor = (
                (1.0, 1.0, 1.0) if has_color else srgb_to_linear(np.array(material.diffuse or (1.0,) * 3))
            )
            base = plain_paint(count, (*factor, material.opacity))
            return Surface(Paint(base.color, _placed(uv, placement), texture), emission, BLENDED)
        if colors is not None:
            return Surface(_varied(colors, material.opacity), emission, BLENDED)
        if material.diffuse is None:
            grey = unpainted(count)
            return Surface(grey.base, emission, BLENDED, is_colored=emission is not None)
        linear = srgb_to_linear(np.array(material.diffuse))
        return Surface(plain_paint(count, (*linear, material.opacity)), emission, BLENDED)

    def _emission(self, material: MtlMaterial, uv: NDArray[np.float64] | None, count: int) -> Paint | None:
        if material.emission_map is not None and uv is not None:
            texture = self._texture(material.emission_map, None)
            return Paint(np.ones((count, 4), np.float32), _placed(uv, material.emission_map), texture)
        if material.emission is None or max(material.emission) <= 0:
            return None
        return plain_paint(count, srgb_to_linear(np.array(material.emission)))

    def _texture(self, color: TextureStatement | None, opacity: TextureStatement | None) -> Texture | None:
        """The texture of a `map_Kd`, a `map_d` or both."""
        if (color, opacity) not in self._textures:
            if color is not None and opacity is not None and color.placement != opacity.placement:
                raise RejectedAsset(
                    Reason.UNKNOWN_FORMAT,
                    f"{self._asset} places map_d {opacity.name!r} otherwise than map_Kd, which is not read: "
                    "put the alpha into the texture",
                )
            pixels = None if color is None else self._image(color)
            if opacity is not None:
                pixels = _with_alpha(pixels, self._image(opacity), opacity, color)
            if pixels is None:
                return None
            wrap = CLAMP if (color or opacity).clamp else REPEAT  # type: ignore[union-attr]
            self._textures[color, opacity] = Texture(pixels, (wrap, wrap))
        return self._textures[color, opacity]

    def _image(self, statement: TextureStatement) -> NDArray[np.uint8]:
        name = local_name(statement.name)
        if name not in self._pixels:
            data = self._files.read(name)
            self._pixels[name] = read_image(data, f"texture {name!r}", self._limits.max_texture_pixels)
        return self._pixels[name]


def _placed(uv: NDArray[np.float64], statement: TextureStatement) -> NDArray[np.float32]:
    placed = np.asarray(uv) * statement.scale + statement.offset
    return np.nan_to_num(placed).astype(np.float32)


def _varied(colors: NDArray[np.float64], opacity: float) -> Paint:
    count = len(colors)
    rgba = np.concatenate([srgb_to_linear(colors), np.full((count, 1), opacity)], axis=1)
    return Paint(rgba.astype(np.float32), np.zeros((count, 2), np.float32), None)


def _with_alpha(
    pixels: NDArray[np.uint8] | None,
    image: NDArray[np.uint8],
    statement: TextureStatement,
    color: TextureStatement | None,
) -> NDArray[np.uint8]:
    """Pixels with the alpha of a `map_d` image: its alpha channel, its luminance where it has none."""
    channel = statement.channel
    if not channel:
        is_same = color is not None and color.name == statement.name
        channel = "m" if is_same or (image[..., 3] < 255).any() else "l"
    if channel == "l":
        alpha = np.rint(image[..., :3] @ _LUMINANCE).astype(np.uint8)
    else:
        alpha = image[..., "rgbm".index(channel)]
    if pixels is None:
        pixels = np.full((*alpha.shape, 4), 255, np.uint8)
    if alpha.shape != pixels.shape[:2]:
        size = (pixels.shape[1], pixels.shape[0])
        alpha = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BOX))
    return np.concatenate([pixels[..., :3], alpha[..., None]], axis=2)
