"""A mesh as flat arrays in the house's world, scaled into the unit cube."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.surfaces import (
    CLAMP,
    MIRROR,
    FloatArray,
    Paint,
    Part,
    Texture,
    linear_to_srgb,
    srgb_to_linear,
)

# glTF and the furniture files are y-up with +z as the front; the house is z-up with +x as the front.
Y_UP_TO_WORLD = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=np.float64)
_LINEAR = srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)


@dataclass(frozen=True)
class Coat:
    """Colours of all faces.

    Attributes:
        corner_colors: [F, 3, 4] float32, linear RGB and alpha, what multiplies the texture.
        corner_uvs: [F, 3, 2] float32, v upwards as in OBJ.
        face_textures: [F] int32, index of a texture, -1 for none.
    """

    corner_colors: FloatArray
    corner_uvs: FloatArray
    face_textures: NDArray[np.int32]


@dataclass(frozen=True)
class Mesh:
    """Triangles with their surface colour, inside [-0.5, 0.5]^3, +z up, +x the front.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int32.
        base: what reflects light.
        emission: what shines by itself, or None; its alpha means nothing.
        alpha_cutoffs: [F] float32; the base's alpha becomes 0 below it and 1 from it on; NaN leaves it as it is.
        textures: of both coats.
        is_colored: whether the file says anything of its colours.
    """

    vertices: FloatArray
    faces: NDArray[np.int32]
    base: Coat
    emission: Coat | None
    alpha_cutoffs: FloatArray
    textures: tuple[Texture, ...]
    is_colored: bool = True

    def image_count(self) -> int:
        """Images; textures that differ in how they repeat share one."""
        return len({id(texture.pixels) for texture in self.textures})


def merge_parts(parts: list[Part], name: str) -> Mesh:
    """Join the y-up parts of a scene into one `Mesh` (see `load_mesh`)."""
    textures: dict[Texture, int] = {}
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    points = np.concatenate([part.vertices for part in parts]) @ Y_UP_TO_WORLD.T
    triangles = np.concatenate(
        [part.faces + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    ).astype(np.int32)
    used = points[np.unique(triangles)]
    if not np.isfinite(used).all():
        raise RejectedAsset(Reason.NOT_FINITE, f"{name} has vertices that are not finite numbers")
    low, high = used.min(axis=0), used.max(axis=0)
    longest = float((high - low).max())
    if not 0 < longest < np.inf:
        raise RejectedAsset(Reason.NO_EXTENT, f"{name} has an extent of {longest}")
    emission = None
    if any(part.surface.emission is not None for part in parts):
        emission = _coat(parts, (part.surface.emission for part in parts), textures)
    return Mesh(
        vertices=((points - (low + high) / 2) / longest).astype(np.float32),
        faces=triangles,
        base=_coat(parts, (part.surface.base for part in parts), textures),
        emission=emission,
        alpha_cutoffs=np.concatenate(
            [np.full(len(part.faces), part.surface.alpha_cutoff, np.float32) for part in parts]
        ),
        textures=tuple(textures),
        is_colored=any(part.surface.is_colored for part in parts),
    )


def _coat(parts: list[Part], paints: Iterable[Paint | None], textures: dict[Texture, int]) -> Coat:
    """Paints at the corners of faces; new textures are added. No paint is black."""
    colors, uvs, face_textures = [], [], []
    for part, paint in zip(parts, paints, strict=True):
        count, texture = len(part.faces), -1
        if paint is None:
            colors.append(np.zeros((count, 3, 4), np.float32))
            uvs.append(np.zeros((count, 3, 2), np.float32))
        else:
            colors.append(paint.color[part.faces])
            uvs.append(paint.uv[part.faces])
            if paint.texture is not None:
                texture = textures.setdefault(paint.texture, len(textures))
        face_textures.append(np.full(count, texture, np.int32))
    return Coat(np.concatenate(colors), np.concatenate(uvs), np.concatenate(face_textures))


def surface_color(mesh: Mesh, face: NDArray[np.int32], u: FloatArray, v: FloatArray) -> FloatArray:
    """What points on a mesh reflect of white light: interpolated colour times the texture's nearest texel.

    Args:
        mesh: with T faces.
        face: [R] faces the points lie on.
        u, v: [R] barycentric coordinates of the second and third corner.

    Returns:
        [R, 4] float32 in [0, 1]: sRGB and alpha.
    """
    color = _coat_color(mesh.base, mesh.textures, face, u, v)
    color[:, :3] = linear_to_srgb(color[:, :3])
    cutoff = mesh.alpha_cutoffs[face]
    color[:, 3] = np.where(np.isnan(cutoff), color[:, 3].clip(0, 1), color[:, 3] >= cutoff)
    return color


def add_emission(
    mesh: Mesh, color: FloatArray, face: NDArray[np.int32], u: FloatArray, v: FloatArray
) -> FloatArray:
    """sRGB colours [R, 3] with the light added that the points of `surface_color` shine with themselves."""
    if mesh.emission is None:
        return color
    shining = _coat_color(mesh.emission, mesh.textures, face, u, v)[:, :3]
    lit: FloatArray = color.copy()
    some = shining.any(axis=1)
    lit[some] = linear_to_srgb(srgb_to_linear(color[some]) + shining[some])
    return lit


def _coat_color(
    coat: Coat, textures: tuple[Texture, ...], face: NDArray[np.int32], u: FloatArray, v: FloatArray
) -> FloatArray:
    """Linear RGB and alpha [R, 4]."""
    weights = np.stack([1 - u - v, u, v], axis=1).astype(np.float32)
    color: FloatArray = np.einsum("rk,rkc->rc", weights, coat.corner_colors[face])
    texture_of = coat.face_textures[face]
    for index in np.unique(texture_of[texture_of >= 0]):
        here = texture_of == index
        uv = np.einsum("rk,rkc->rc", weights[here], coat.corner_uvs[face[here]])
        texel = _texels(textures[index], uv)
        color[here, :3] *= _LINEAR[texel[:, :3]]
        color[here, 3] *= texel[:, 3].astype(np.float32) / 255.0
    return color


def _texels(texture: Texture, uv: FloatArray) -> NDArray[np.uint8]:
    rows, columns = texture.pixels.shape[:2]
    column = _wrapped(np.floor(uv[:, 0] * columns).astype(np.int64), columns, texture.wrap[0])
    row = _wrapped(np.floor((1 - uv[:, 1]) * rows).astype(np.int64), rows, texture.wrap[1])
    return texture.pixels[row, column]


def _wrapped(index: NDArray[np.int64], size: int, wrap: str) -> NDArray[np.int64]:
    if wrap == CLAMP:
        return index.clip(0, size - 1)
    if wrap == MIRROR:
        around = index % (2 * size)
        return np.minimum(around, 2 * size - 1 - around)
    return index % size
