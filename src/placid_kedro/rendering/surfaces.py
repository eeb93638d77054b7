"""The colours of a part of a scene, as the formats' materials say them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_UNPAINTED = np.array([0.6, 0.6, 0.6, 1.0], np.float32)


@dataclass(frozen=True)
class PartSurface:
    """How one part of a scene is coloured.

    Attributes:
        color: [V, 4] float32 sRGB and alpha, a factor for each vertex; alpha 2 stands for "opaque, whatever
            the texture's alpha says".
        uv: [V, 2] float32 texture coordinates, v upwards.
        image: the texture as a PIL image, or None.
        is_colored: False when the file says nothing of this part's colour.
    """

    color: FloatArray
    uv: FloatArray
    image: Any
    is_colored: bool


def part_surface(part: trimesh.Trimesh) -> PartSurface:
    """The colour factors, texture coordinates and texture of one part."""
    count = len(part.vertices)
    white = np.ones((count, 4), np.float32)
    no_uv = np.zeros((count, 2), np.float32)
    visual: Any = part.visual
    if isinstance(visual, trimesh.visual.ColorVisuals):
        if visual.kind is None:
            return PartSurface(white * _UNPAINTED, no_uv, None, is_colored=False)
        return PartSurface(np.asarray(visual.vertex_colors, np.float32) / 255.0, no_uv, None, is_colored=True)
    material = visual.material
    if isinstance(material, trimesh.visual.material.PBRMaterial):
        factor, image = _pbr(material)
        is_colored = material.baseColorFactor is not None or image is not None
    else:
        factor, image = _simple(material)
        is_colored = True
    uv = visual.uv
    if image is None or uv is None or len(uv) != count:
        return PartSurface(white * factor, no_uv, None, is_colored)
    return PartSurface(white * factor, np.nan_to_num(np.asarray(uv, np.float32)[:, :2]), image, is_colored)


def _pbr(material: Any) -> tuple[FloatArray, Any]:
    factor = np.ones(4, np.float32)
    if material.baseColorFactor is not None:
        given = np.asarray(material.baseColorFactor)
        linear = (given / 255.0 if given.dtype == np.uint8 else given).astype(np.float64)
        factor[: len(linear)] = linear
        factor[:3] = linear_to_srgb(linear[:3])
    if material.alphaMode in (None, "OPAQUE"):
        factor[3] = np.float32(2.0)  # larger than any cut-off: an opaque material ignores its texture's alpha
    return factor, material.baseColorTexture


def linear_to_srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light to sRGB (IEC 61966-2-1), both in [0, 1]; glTF's factors are linear, its textures sRGB."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_to_linear(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `linear_to_srgb`."""
    srgb = np.clip(srgb, 0.0, 1.0)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _simple(material: Any) -> tuple[FloatArray, Any]:
    factor = np.ones(4, np.float32)
    properties = getattr(material, "kwargs", None) or {}
    if properties.get("kd") is not None:
        factor[:3] = np.asarray(properties["kd"], np.float32)[:3]
    elif getattr(material, "diffuse", None) is not None and material.image is None:
        factor[:3] = np.asarray(material.diffuse, np.float32)[:3] / 255.0
    opacity = _first_number(properties.get("d"))
    if opacity is not None:
        factor[3] = opacity
    # Exporters write black beside a texture when they mean "the texture alone".
    if getattr(material, "image", None) is not None and factor[:3].max() < 0.05:
        factor[:3] = 1.0
    return factor, getattr(material, "image", None)


def _first_number(value: Any) -> float | None:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
