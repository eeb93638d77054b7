"""The parts of a glTF file's scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import GltfDocument
from placid_kedro.rendering.gltf_geometry import Primitive, read_primitive, skinned, triangle_count
from placid_kedro.rendering.gltf_materials import GltfSurfaces
from placid_kedro.rendering.gltf_scene import PlacedMesh, placed_meshes
from placid_kedro.rendering.limits import MeshLimits
from placid_kedro.rendering.surfaces import Part


def gltf_parts(document: GltfDocument, limits: MeshLimits) -> list[Part]:
    """The triangles of a file as its scene places them, in its axes.

    Raises:
        RejectedAsset: it needs what is not read, costs more than the limits allow, or is damaged.
    """
    document.check_extensions()
    placed = placed_meshes(document)
    announced = sum(
        triangle_count(document, primitive) * len(one.places)
        for one in placed
        for primitive in document.item("meshes", one.mesh)["primitives"]
    )
    _check_faces(document, announced, limits)
    surfaces = GltfSurfaces(document, limits.max_texture_pixels)
    parts: list[Part] = []
    for one in placed:
        for described in document.item("meshes", one.mesh)["primitives"]:
            if not triangle_count(document, described):
                continue
            primitive = read_primitive(document, described, one.weights)
            surface = surfaces.surface(described, primitive.attributes)
            parts += [Part(points, primitive.faces, surface) for points in _points(primitive, one)]
    # Compressed data may hold more than the file announces.
    _check_faces(document, sum(len(part.faces) for part in parts), limits)
    return parts


def _check_faces(document: GltfDocument, faces: int, limits: MeshLimits) -> None:
    if faces > limits.max_faces:
        raise RejectedAsset(
            Reason.TOO_MANY_FACES, f"{document.name} has {faces} faces, allowed are {limits.max_faces}"
        )


def _points(primitive: Primitive, placed: PlacedMesh) -> list[NDArray[np.float64]]:
    """The vertices of each instance [V, 3]."""
    positions = primitive.attributes["POSITION"].astype(np.float64)
    if placed.joints is not None and "JOINTS_0" in primitive.attributes:
        return [skinned(positions, primitive.attributes, placed.joints)]
    return [positions @ place[:3, :3].T + place[:3, 3] for place in placed.places]
