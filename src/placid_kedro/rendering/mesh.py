"""A mesh as flat arrays in the house's world, scaled into the unit cube."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.surfaces import FloatArray, part_surface

# glTF and the furniture files are y-up with +z as the front; the house is z-up with +x as the front.
Y_UP_TO_WORLD = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=np.float64)


@dataclass(frozen=True)
class Mesh:
    """Triangles with their surface colour, inside [-0.5, 0.5]^3, +z up, +x the front.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int32.
        corner_colors: [F, 3, 4] float32 RGBA in [0, 1], what multiplies the texture.
        corner_uvs: [F, 3, 2] float32, v upwards as in OBJ and in trimesh.
        face_textures: [F] int32, index into `textures`, -1 for none.
        textures: RGBA images [H, W, 4] uint8.
        is_colored: whether the file says anything of its colours.
    """

    vertices: FloatArray
    faces: NDArray[np.int32]
    corner_colors: FloatArray
    corner_uvs: FloatArray
    face_textures: NDArray[np.int32]
    textures: tuple[NDArray[np.uint8], ...]
    is_colored: bool = True


def merge_parts(parts: list[trimesh.Trimesh], name: str) -> Mesh:
    """Join the y-up parts of a scene into one `Mesh` (see `load_mesh`)."""
    textures: dict[int, int] = {}
    images: list[NDArray[np.uint8]] = []
    vertices, faces, colors, uvs, face_textures = [], [], [], [], []
    offset = 0
    surfaces = [part_surface(part) for part in parts]
    for part, surface in zip(parts, surfaces, strict=True):
        index = np.asarray(part.faces, dtype=np.int32)
        texture = -1
        if surface.image is not None:
            if id(surface.image) not in textures:
                textures[id(surface.image)] = len(images)
                images.append(_pixels(surface.image, name))
            texture = textures[id(surface.image)]
        vertices.append(np.asarray(part.vertices, dtype=np.float64))
        faces.append(index + offset)
        colors.append(surface.color[index])
        uvs.append(surface.uv[index])
        face_textures.append(np.full(len(index), texture, np.int32))
        offset += len(part.vertices)
    points = np.concatenate(vertices) @ Y_UP_TO_WORLD.T
    triangles = np.concatenate(faces)
    used = points[np.unique(triangles)]
    if not np.isfinite(used).all():
        raise RejectedAsset(Reason.NOT_FINITE, f"{name} has vertices that are not finite numbers")
    low, high = used.min(axis=0), used.max(axis=0)
    longest = float((high - low).max())
    if not 0 < longest < np.inf:
        raise RejectedAsset(Reason.NO_EXTENT, f"{name} has an extent of {longest}")
    return Mesh(
        vertices=((points - (low + high) / 2) / longest).astype(np.float32),
        faces=triangles,
        corner_colors=np.concatenate(colors).astype(np.float32),
        corner_uvs=np.concatenate(uvs).astype(np.float32),
        face_textures=np.concatenate(face_textures),
        textures=tuple(images),
        is_colored=any(surface.is_colored for surface in surfaces),
    )


def _pixels(image: Any, name: str) -> NDArray[np.uint8]:
    try:
        return np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        raise RejectedAsset(Reason.TEXTURE_UNREADABLE, f"{name} has a broken texture: {error}") from error


def surface_color(mesh: Mesh, face: NDArray[np.int32], u: FloatArray, v: FloatArray) -> FloatArray:
    """RGBA of points on a mesh, without light: interpolated colour times the texture's nearest texel.

    Args:
        mesh: with T faces.
        face: [R] faces the points lie on.
        u, v: [R] barycentric coordinates of the second and third corner.

    Returns:
        [R, 4] float32 in [0, 1].
    """
    weights = np.stack([1 - u - v, u, v], axis=1).astype(np.float32)
    color: FloatArray = np.einsum("rk,rkc->rc", weights, mesh.corner_colors[face])
    uv = np.einsum("rk,rkc->rc", weights, mesh.corner_uvs[face])
    texture_of = mesh.face_textures[face]
    for index in np.unique(texture_of[texture_of >= 0]):
        here = texture_of == index
        texture = mesh.textures[index]
        rows, columns = texture.shape[:2]
        column = np.floor(uv[here, 0] * columns).astype(np.int64) % columns
        row = np.floor((1 - uv[here, 1]) * rows).astype(np.int64) % rows
        color[here] *= texture[row, column].astype(np.float32) / 255.0
    return color.clip(0, 1)
