"""Any mesh file that trimesh reads, as flat arrays in the house's world, scaled into the unit cube."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from placid_kedro.errors import AssetError

FloatArray = NDArray[np.float32]

# glTF and the furniture files are y-up with +z as the front; the house is z-up with +x as the front.
_Y_UP_TO_WORLD = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=np.float64)


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
    """

    vertices: FloatArray
    faces: NDArray[np.int32]
    corner_colors: FloatArray
    corner_uvs: FloatArray
    face_textures: NDArray[np.int32]
    textures: tuple[NDArray[np.uint8], ...]


def load_mesh(path: str | Path) -> Mesh:
    """Read a GLB, GLTF or OBJ file.

    The bounding box is centred on the origin and its longest side becomes 1, all axes by the same factor.

    Raises:
        AssetError: when the file cannot be read, holds no triangle, or has a coordinate that is not finite.
    """
    try:
        scene = trimesh.load_scene(path, process=False)
        parts = [geometry for geometry in scene.dump() if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces)]
    except Exception as error:  # trimesh raises whatever its parsers meet in a malformed file
        raise AssetError(f"{path} cannot be read as a mesh: {type(error).__name__}: {error}") from error
    if not parts:
        raise AssetError(f"{path} holds no triangles.")
    return merge_parts(parts, str(path))


def merge_parts(parts: list[trimesh.Trimesh], name: str) -> Mesh:
    """Join the y-up parts of a scene into one `Mesh` (see `load_mesh`)."""
    textures: list[NDArray[np.uint8]] = []
    vertices, faces, colors, uvs, face_textures = [], [], [], [], []
    offset = 0
    for part in parts:
        index = np.asarray(part.faces, dtype=np.int32)
        color, uv, texture = _surface(part)
        if texture is not None:
            textures.append(texture)
        vertices.append(np.asarray(part.vertices, dtype=np.float64))
        faces.append(index + offset)
        colors.append(color[index])
        uvs.append(uv[index])
        face_textures.append(np.full(len(index), len(textures) - 1 if texture is not None else -1, np.int32))
        offset += len(part.vertices)
    points = np.concatenate(vertices) @ _Y_UP_TO_WORLD.T
    triangles = np.concatenate(faces)
    used = points[np.unique(triangles)]
    if not np.isfinite(used).all():
        raise AssetError(f"{name} has vertices that are not finite numbers.")
    low, high = used.min(axis=0), used.max(axis=0)
    longest = float((high - low).max())
    if longest <= 0:
        raise AssetError(f"{name} has no extent: all its vertices coincide.")
    return Mesh(
        vertices=((points - (low + high) / 2) / longest).astype(np.float32),
        faces=triangles,
        corner_colors=np.concatenate(colors).astype(np.float32),
        corner_uvs=np.concatenate(uvs).astype(np.float32),
        face_textures=np.concatenate(face_textures),
        textures=tuple(textures),
    )


def _surface(part: trimesh.Trimesh) -> tuple[FloatArray, FloatArray, NDArray[np.uint8] | None]:
    """Per-vertex RGBA factor [V, 4], texture coordinates [V, 2] and the texture of one part."""
    count = len(part.vertices)
    white = np.ones((count, 4), np.float32)
    no_uv = np.zeros((count, 2), np.float32)
    visual = part.visual
    if isinstance(visual, trimesh.visual.ColorVisuals):
        if visual.kind is None:
            return white * np.float32([0.6, 0.6, 0.6, 1.0]), no_uv, None
        return np.asarray(visual.vertex_colors, np.float32) / 255.0, no_uv, None
    material = visual.material
    if isinstance(material, trimesh.visual.material.PBRMaterial):
        factor, image = _pbr(material)
    else:
        factor, image = _simple(material)
    uv = visual.uv
    if image is None or uv is None or len(uv) != count:
        return white * factor, no_uv, None
    return white * factor, np.nan_to_num(np.asarray(uv, np.float32)[:, :2]), np.asarray(image.convert("RGBA"))


def _pbr(material: Any) -> tuple[FloatArray, Any]:
    factor = np.ones(4, np.float32)
    if material.baseColorFactor is not None:
        given = np.asarray(material.baseColorFactor, np.float32)
        factor[: len(given)] = given / 255.0 if np.asarray(material.baseColorFactor).dtype == np.uint8 else given
    if material.alphaMode in (None, "OPAQUE"):
        factor[3] = np.float32(2.0)  # larger than any cut-off: an opaque material ignores its texture's alpha
    return factor, material.baseColorTexture


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
