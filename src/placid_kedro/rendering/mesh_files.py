"""Mesh files from anywhere: none may read outside its folder, exhaust the machine or crash the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from trimesh.resolvers import FilePathResolver

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import GltfHeader, read_header
from placid_kedro.rendering.mesh import Mesh, merge_parts

FORMATS = (".glb", ".gltf", ".obj")


@dataclass(frozen=True)
class MeshLimits:
    """What a file may cost.

    Attributes:
        max_bytes: of the file itself.
        max_faces: triangles.
        max_texture_pixels: of one image.
    """

    max_bytes: int = 512 * 2**20
    max_faces: int = 750_000
    max_texture_pixels: int = 64 * 2**20


def load_mesh(path: str | Path, limits: MeshLimits | None = None) -> Mesh:
    """Read a GLB, GLTF or OBJ file.

    The bounding box is centred on the origin and its longest side becomes 1, all axes by the same factor.
    Files beside it (buffers, materials, textures) are read from its own folder and below only.

    Raises:
        RejectedAsset: when the file cannot be read, costs more than the limits allow, names a file outside
            its folder, holds no triangle, or has a coordinate that is not finite.
    """
    path = Path(path)
    return merge_parts(load_parts(path, limits or MeshLimits()), path.name)


def load_parts(path: Path, limits: MeshLimits) -> list[trimesh.Trimesh]:
    """The triangle meshes of a file in the file's own axes, placed by its scene graph (see `load_mesh`)."""
    resolver = _FolderResolver(path)
    header = _check_file(path, limits, resolver)
    try:
        scene = trimesh.load_scene(path, process=False, resolver=resolver)
        parts = [
            geometry
            for geometry in scene.dump()
            if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces)
        ]
    except MemoryError:
        raise
    except Exception as error:  # trimesh raises whatever its parsers meet in a malformed file
        resolver.raise_if_outside(path.name)
        message = f"{path.name} cannot be read as a mesh: {type(error).__name__}: {error}"
        raise RejectedAsset(Reason.UNREADABLE, message) from error
    resolver.raise_if_outside(path.name)
    if not parts:
        raise RejectedAsset(Reason.NO_FACES, f"{path.name} holds no triangles")
    faces = sum(len(part.faces) for part in parts)
    if faces > limits.max_faces:
        raise RejectedAsset(
            Reason.TOO_MANY_FACES, f"{path.name} has {faces} faces, allowed are {limits.max_faces}"
        )
    for part in parts:
        if part.faces.min() < 0 or part.faces.max() >= len(part.vertices):
            raise RejectedAsset(Reason.UNREADABLE, f"{path.name} has faces of vertices that it does not have")
        _check_texture(part, limits, path.name)
    if header is not None:
        _restore_factors(parts, header)
    return parts


class _FolderResolver(FilePathResolver):
    """Gives trimesh the files of one folder, and remembers when it asked for another's: trimesh goes on
    without a texture that it did not get."""

    def __init__(self, source: str | Path) -> None:
        super().__init__(str(source))
        self.outside: list[str] = []

    def get(self, name: str) -> bytes:
        try:
            self.absolute(name)
        except ValueError:
            self.outside.append(name)
            raise
        data: bytes = super().get(name)
        return data

    def raise_if_outside(self, asset: str) -> None:
        """
        Raises:
            RejectedAsset: a file outside the folder was asked for.
        """
        if self.outside:
            raise RejectedAsset(Reason.PATH_OUTSIDE, f"{asset} names {self.outside[0]!r}, outside its folder")


def _check_file(path: Path, limits: MeshLimits, resolver: _FolderResolver) -> GltfHeader | None:
    """Refuse what can be refused without decoding it; returns the header of a glTF file."""
    if path.suffix.lower() not in FORMATS:
        raise RejectedAsset(Reason.UNKNOWN_FORMAT, f"{path.name} is none of {', '.join(FORMATS)}")
    if not path.is_file():
        raise RejectedAsset(Reason.MISSING_FILE, f"{path} does not exist")
    size = path.stat().st_size
    if size == 0:
        raise RejectedAsset(Reason.TRUNCATED, f"{path.name} is empty")
    if size > limits.max_bytes:
        raise RejectedAsset(Reason.TOO_LARGE, f"{path.name} has {size} bytes, allowed are {limits.max_bytes}")
    if path.suffix.lower() == ".obj":
        return None
    header = read_header(path)
    try:
        faces, longest = header.face_count(), header.largest_accessor()
        header.check_textures(resolver.get, limits.max_texture_pixels)
    except RejectedAsset:
        raise
    except Exception as error:  # the JSON of a malformed file has any shape
        resolver.raise_if_outside(path.name)
        message = f"{path.name} is no valid glTF file: {type(error).__name__}: {error}"
        raise RejectedAsset(Reason.UNREADABLE, message) from error
    if faces > limits.max_faces:
        raise RejectedAsset(
            Reason.TOO_MANY_FACES, f"{path.name} has {faces} faces, allowed are {limits.max_faces}"
        )
    if longest > 3 * limits.max_faces:
        raise RejectedAsset(Reason.TOO_LARGE, f"{path.name} announces a list of {longest} elements")
    return header


def _check_texture(part: trimesh.Trimesh, limits: MeshLimits, asset: str) -> None:
    material = getattr(part.visual, "material", None)
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is not None and image.width * image.height > limits.max_texture_pixels:
        raise RejectedAsset(
            Reason.TOO_LARGE, f"{asset} has a texture of {image.width} x {image.height} pixels"
        )


def _restore_factors(parts: list[trimesh.Trimesh], header: GltfHeader) -> None:
    """trimesh rounds colour factors to 8 bits, which in linear light is coarse for dark colours."""
    factors = header.color_factors()
    for part in parts:
        material: Any = getattr(part.visual, "material", None)
        if material is not None and getattr(material, "name", None) in factors:
            material._data["baseColorFactor"] = np.asarray(factors[material.name], np.float64)
