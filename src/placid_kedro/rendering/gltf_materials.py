"""The surfaces that glTF materials give to primitives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import GltfDocument, not_read
from placid_kedro.rendering.images import read_image
from placid_kedro.rendering.surfaces import (
    BLENDED,
    CLAMP,
    MIRROR,
    OPAQUE,
    REPEAT,
    Paint,
    Surface,
    Texture,
    plain_paint,
    unpainted,
)

_WRAPS = {10497: REPEAT, 33071: CLAMP, 33648: MIRROR}
_GLOSSY, _UNLIT = "KHR_materials_pbrSpecularGlossiness", "KHR_materials_unlit"
_STRENGTH, _TRANSFORM = "KHR_materials_emissive_strength", "KHR_texture_transform"
# They say a material's colour in words of their own.
_OTHER_MATERIALS = ("KHR_techniques_webgl", "KHR_materials_common")
_WEBP = "EXT_texture_webp"

Attributes = Mapping[str, NDArray[Any]]


class GltfSurfaces:
    """Gives primitives their surfaces; an image is decoded once.

    Args:
        document: the file.
        max_pixels: of one image.
    """

    def __init__(self, document: GltfDocument, max_pixels: int) -> None:
        self._document = document
        self._max_pixels = max_pixels
        self._pixels: dict[int, NDArray[np.uint8]] = {}
        self._textures: dict[tuple[int, tuple[str, str]], Texture] = {}

    def surface(self, primitive: Mapping[str, Any], attributes: Attributes) -> Surface:
        """The surface of a primitive: material times vertex colours (glTF 2.0, 3.7.2.1 and 3.9).

        Args:
            primitive: its JSON.
            attributes: its decoded attributes.

        Raises:
            RejectedAsset: a texture cannot be read, or its material says its colour in a way that is not read.
        """
        count = len(attributes["POSITION"])
        varied = _vertex_colors(attributes, self._document.name)
        if "material" not in primitive:
            if varied is None:
                return unpainted(count)
            return Surface(Paint(varied, np.zeros((count, 2), np.float32), None), alpha_cutoff=OPAQUE)
        material = self._document.item("materials", primitive["material"])
        extensions = material.get("extensions", {})
        for name in _OTHER_MATERIALS:
            if name in extensions:
                raise not_read(self._document.name, name)
        described, factor, texture = _base(material)
        base = self._paint(described.get(factor, (1, 1, 1, 1)), described.get(texture), attributes)
        if varied is not None:
            base = Paint(base.color * varied, base.uv, base.texture)
        emission = self._emission(material, attributes)
        if _UNLIT in extensions:
            # It looks like what shines by itself in this colour.
            emission = base
            base = Paint(base.color * np.array([0, 0, 0, 1], np.float32), base.uv, base.texture)
        cutoffs = {"OPAQUE": OPAQUE, "MASK": float(material.get("alphaCutoff", 0.5)), "BLEND": BLENDED}
        return Surface(
            base,
            emission,
            cutoffs[material.get("alphaMode", "OPAQUE")],
            factor in described or texture in described or varied is not None or emission is not None,
        )

    def _emission(self, material: dict[str, Any], attributes: Attributes) -> Paint | None:
        strength = material.get("extensions", {}).get(_STRENGTH, {}).get("emissiveStrength", 1.0)
        factor = np.array(material.get("emissiveFactor", (0, 0, 0)), np.float64) * strength
        return self._paint(factor, material.get("emissiveTexture"), attributes) if factor.any() else None

    def _paint(self, factor: Any, reference: dict[str, Any] | None, attributes: Attributes) -> Paint:
        plain = plain_paint(len(attributes["POSITION"]), np.array(factor, np.float64))
        if reference is None:
            return plain
        transform = reference.get("extensions", {}).get(_TRANSFORM, {})
        image = self._texture(reference["index"])
        uv = attributes.get(f"TEXCOORD_{transform.get('texCoord', reference.get('texCoord', 0))}")
        if uv is None:
            return plain
        placed = _transformed(uv.astype(np.float64), transform)
        placed[:, 1] = 1 - placed[:, 1]
        return Paint(plain.color, np.nan_to_num(placed).astype(np.float32), image)

    def _texture(self, index: int) -> Texture:
        described = self._document.item("textures", index)
        extensions = described.get("extensions", {})
        source = extensions.get(_WEBP, {}).get("source", described.get("source"))
        if source is None:
            for name in extensions:
                raise not_read(self._document.name, name)
            raise RejectedAsset(
                Reason.TEXTURE_UNREADABLE, f"{self._document.name} has a texture {index} without an image"
            )
        sampler = self._document.item("samplers", described["sampler"]) if "sampler" in described else {}
        wrap = (_WRAPS[sampler.get("wrapS", 10497)], _WRAPS[sampler.get("wrapT", 10497)])
        if (source, wrap) not in self._textures:
            if source not in self._pixels:
                data = self._document.image_bytes(source)
                self._pixels[source] = read_image(data, f"texture {source}", self._max_pixels)
            self._textures[source, wrap] = Texture(self._pixels[source], wrap)
        return self._textures[source, wrap]


def _base(material: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """What says a material's colour, and the names of its factor and texture there."""
    glossy = material.get("extensions", {}).get(_GLOSSY)
    if glossy is not None:
        return glossy, "diffuseFactor", "diffuseTexture"
    return material.get("pbrMetallicRoughness", {}), "baseColorFactor", "baseColorTexture"


def _vertex_colors(attributes: Attributes, asset: str) -> NDArray[np.float32] | None:
    if "COLOR_0" not in attributes:
        return None
    given = attributes["COLOR_0"]
    if not np.isfinite(given).all():
        raise RejectedAsset(Reason.NOT_FINITE, f"{asset} has vertex colours that are not finite numbers")
    colors = np.ones((len(given), 4), np.float32)
    colors[:, : given.shape[1]] = np.clip(given, 0, 1)
    return colors


def _transformed(uv: NDArray[np.float64], transform: dict[str, Any]) -> NDArray[np.float64]:
    """Texture coordinates scaled, turned counter-clockwise as seen (v points down) and moved."""
    turn = transform.get("rotation", 0.0)
    cosine, sine = np.cos(turn), np.sin(turn)
    scaled = uv * np.array(transform.get("scale", (1, 1)), np.float64)
    turned: NDArray[np.float64] = scaled @ np.array([[cosine, -sine], [sine, cosine]])
    return turned + np.array(transform.get("offset", (0, 0)), np.float64)
