"""Mesh files from anywhere: none may read outside its folder, exhaust the machine or crash the run."""

from __future__ import annotations

from pathlib import Path

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import open_gltf
from placid_kedro.rendering.gltf_parts import gltf_parts
from placid_kedro.rendering.limits import MeshLimits
from placid_kedro.rendering.mesh import Mesh, merge_parts
from placid_kedro.rendering.obj import read_obj
from placid_kedro.rendering.side_files import SideFiles
from placid_kedro.rendering.surfaces import Part

FORMATS = (".glb", ".gltf", ".obj")


def load_mesh(path: str | Path, limits: MeshLimits | None = None) -> Mesh:
    """Read a GLB, GLTF or OBJ file.

    The bounding box is centred on the origin and its longest side becomes 1, all axes by the same factor.
    Files beside it (buffers, materials, textures) are read from its own folder and below only. What is drawn by
    something that is not read here, an extension for instance, is rejected by its name.

    Raises:
        RejectedAsset: when the file cannot be read, costs more than the limits allow, names a file outside
            its folder, holds no triangle, or has a coordinate that is not finite.
    """
    path = Path(path)
    return merge_parts(load_parts(path, limits or MeshLimits()), path.name)


def load_parts(path: Path, limits: MeshLimits) -> list[Part]:
    """The triangles of a file in the file's own axes, placed by its scene graph (see `load_mesh`)."""
    _check_file(path, limits)
    files = SideFiles(path, limits.max_bytes)
    try:
        if path.suffix.lower() == ".obj":
            parts = read_obj(path, files, limits)
        else:
            parts = gltf_parts(open_gltf(path, files, 3 * limits.max_faces), limits)
    except (MemoryError, RejectedAsset):
        raise
    except Exception as error:  # a malformed file has any shape
        message = (
            f"{path.name} cannot be read as a mesh: {type(error).__name__}: {' '.join(str(error).split())}"
        )
        raise RejectedAsset(Reason.UNREADABLE, message) from error
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        raise RejectedAsset(Reason.NO_FACES, f"{path.name} holds no triangles")
    return parts


def _check_file(path: Path, limits: MeshLimits) -> None:
    """Refuse what can be refused without reading it."""
    if path.suffix.lower() not in FORMATS:
        raise RejectedAsset(Reason.UNKNOWN_FORMAT, f"{path.name} is none of {', '.join(FORMATS)}")
    if not path.is_file():
        raise RejectedAsset(Reason.MISSING_FILE, f"{path} does not exist")
    size = path.stat().st_size
    if size == 0:
        raise RejectedAsset(Reason.TRUNCATED, f"{path.name} is empty")
    if size > limits.max_bytes:
        raise RejectedAsset(Reason.TOO_LARGE, f"{path.name} has {size} bytes, allowed are {limits.max_bytes}")
