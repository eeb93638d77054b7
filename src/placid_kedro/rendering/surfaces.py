"""What a part of a scene is made of: triangles, and colours as the formats' materials say them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# Of a surface whose file says nothing of its colour.
UNPAINTED = 0.6
# `Surface.alpha_cutoff`: alpha below it is nothing, above it solid; NaN blends.
OPAQUE, BLENDED = 0.0, float("nan")
REPEAT, CLAMP, MIRROR = "repeat", "clamp", "mirror"


@dataclass(frozen=True, eq=False)
class Texture:
    """An image on a surface.

    Attributes:
        pixels: [H, W, 4] uint8, sRGB and straight alpha; two textures may share them.
        wrap: how it goes on beyond [0, 1] along u and v: `repeat`, `clamp` or `mirror`.
    """

    pixels: NDArray[np.uint8]
    wrap: tuple[str, str] = (REPEAT, REPEAT)


@dataclass(frozen=True, eq=False)
class Paint:
    """A colour on a part: a factor for each vertex times a texture.

    Attributes:
        color: [V, 4] float32, linear RGB and alpha.
        uv: [V, 2] float32 texture coordinates, v upwards.
        texture: or None.
    """

    color: FloatArray
    uv: FloatArray
    texture: Texture | None


@dataclass(frozen=True, eq=False)
class Surface:
    """How one part of a scene is coloured.

    Attributes:
        base: what reflects light.
        emission: what shines by itself; its alpha means nothing.
        alpha_cutoff: the base's alpha becomes 0 below it and 1 from it on; NaN leaves it as it is.
        is_colored: False when the file says nothing of this part's colour.
    """

    base: Paint
    emission: Paint | None = None
    alpha_cutoff: float = OPAQUE
    is_colored: bool = True


@dataclass(frozen=True, eq=False)
class Part:
    """Triangles that share a material, in a file's own axes.

    Attributes:
        vertices: [V, 3] float64.
        faces: [F, 3] int64 indices of vertices.
        surface: their colour.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    surface: Surface


def plain_paint(count: int, color: NDArray[np.floating] | tuple[float, ...]) -> Paint:
    """One colour for `count` vertices: 3 or 4 numbers, linear RGB and alpha (1 where it is not given)."""
    factor = np.ones(4, np.float32)
    factor[: len(color)] = color
    return Paint(np.tile(factor, (count, 1)), np.zeros((count, 2), np.float32), None)


def unpainted(count: int) -> Surface:
    """The grey surface of a file that says nothing of colours."""
    grey = srgb_to_linear(np.full(3, UNPAINTED))
    return Surface(plain_paint(count, grey), is_colored=False)


def painted_part(mesh: trimesh.Trimesh) -> Part:
    """A mesh with trimesh's vertex colours (sRGB, 8 bits) as a part."""
    count = len(mesh.vertices)
    surface = unpainted(count)
    visual = mesh.visual
    if isinstance(visual, trimesh.visual.ColorVisuals) and visual.kind is not None:
        color = np.asarray(visual.vertex_colors, np.float64) / 255.0
        color[:, :3] = srgb_to_linear(color[:, :3])
        base = Paint(color.astype(np.float32), np.zeros((count, 2), np.float32), None)
        surface = Surface(base, alpha_cutoff=BLENDED)
    return Part(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64), surface)


def linear_to_srgb(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light to sRGB (IEC 61966-2-1), both in [0, 1]; glTF's factors are linear, its textures sRGB."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_to_linear(srgb: NDArray[np.floating]) -> NDArray[np.floating]:
    """The inverse of `linear_to_srgb`."""
    srgb = np.clip(srgb, 0.0, 1.0)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
