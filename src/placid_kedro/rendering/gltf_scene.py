"""Where a glTF file's scene places its meshes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import GltfDocument
from placid_kedro.rendering.gltf_accessors import read_accessor

Matrix = NDArray[np.float64]
_INSTANCING = "EXT_mesh_gpu_instancing"


@dataclass(frozen=True, eq=False)
class PlacedMesh:
    """A mesh at its place.

    Attributes:
        mesh: its index.
        places: [N, 4, 4] transforms into the scene, one an instance.
        joints: [J, 4, 4], what takes a vertex of the mesh to where each joint of the skin holds it; None without skin.
        weights: of the morph targets; empty for those that are not moved.
    """

    mesh: int
    places: Matrix
    joints: Matrix | None
    weights: tuple[float, ...]


def placed_meshes(document: GltfDocument) -> list[PlacedMesh]:
    """The meshes of the default scene (the first one where none is), in the order of a walk through it.

    Raises:
        RejectedAsset: the scene graph is no tree, or a mesh is placed in a way that is not read.
    """
    nodes = document.items("nodes")
    to_scene = _to_scene(document)
    placed = []
    for index, matrix in to_scene.items():
        node = nodes[index]
        if "mesh" not in node:
            continue
        mesh = document.item("meshes", node["mesh"])
        weights = tuple(map(float, node.get("weights", mesh.get("weights", ()))))
        instances = node.get("extensions", {}).get(_INSTANCING)
        if instances is not None and "skin" in node:
            raise RejectedAsset(
                Reason.UNKNOWN_FORMAT,
                f"{document.name} has a skin together with {_INSTANCING}, which is not read",
            )
        joints = _joints(document, node["skin"], to_scene) if "skin" in node else None
        places = matrix[None] if instances is None else matrix @ _instances(document, instances["attributes"])
        placed.append(PlacedMesh(node["mesh"], places, joints, weights))
    return placed


def _to_scene(document: GltfDocument) -> dict[int, Matrix]:
    """The transform of each visible node of the scene."""
    nodes = document.items("nodes")
    roots = (
        document.item("scenes", document.tree.get("scene", 0)).get("nodes", [])
        if document.items("scenes")
        else _parentless(nodes)
    )
    found: dict[int, Matrix] = {}
    waiting = [(root, np.eye(4)) for root in reversed(roots)]
    while waiting:
        index, parent = waiting.pop()
        node = document.item("nodes", index)
        if index in found:
            raise RejectedAsset(Reason.UNREADABLE, f"{document.name} has a scene graph that is no tree")
        if not node.get("extensions", {}).get("KHR_node_visibility", {}).get("visible", True):
            continue
        found[index] = parent @ _local(node)
        waiting += [(child, found[index]) for child in reversed(node.get("children", []))]
    return found


def _parentless(nodes: list[dict[str, Any]]) -> list[int]:
    children = {child for node in nodes for child in node.get("children", [])}
    return [index for index in range(len(nodes)) if index not in children]


def _local(node: dict[str, Any]) -> Matrix:
    if "matrix" in node:
        # Columns first.
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    translation = np.array([node.get("translation", (0, 0, 0))], np.float64)
    rotation = np.array([node.get("rotation", (0, 0, 0, 1))], np.float64)
    scale = np.array([node.get("scale", (1, 1, 1))], np.float64)
    return compose(translation, rotation, scale)[0]


def compose(translation: Matrix, rotation: Matrix, scale: Matrix) -> Matrix:
    """Transforms [N, 4, 4] that scale, turn and then move.

    Args:
        translation: [N, 3].
        rotation: [N, 4] quaternions x, y, z, w; their length does not matter.
        scale: [N, 3].
    """
    x, y, z, w = (rotation / np.maximum(np.linalg.norm(rotation, axis=1, keepdims=True), 1e-30)).T
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    matrices = np.tile(np.eye(4), (len(translation), 1, 1))
    matrices[:, :3, :3] = turn * scale[:, None, :]
    matrices[:, :3, 3] = translation
    return matrices


def _instances(document: GltfDocument, attributes: dict[str, int]) -> Matrix:
    given = {name: read_accessor(document, index).astype(np.float64) for name, index in attributes.items()}
    count = max((len(values) for values in given.values()), default=0)
    defaults = {"TRANSLATION": (0, 0, 0), "ROTATION": (0, 0, 0, 1), "SCALE": (1, 1, 1)}
    parts = [
        given.get(name, np.tile(np.array(default, np.float64), (count, 1)))
        for name, default in defaults.items()
    ]
    return compose(*parts)


def _joints(document: GltfDocument, index: int, to_scene: dict[int, Matrix]) -> Matrix:
    """A skinned mesh's own node does not place it: its joints do (glTF 2.0, 3.7.3.2)."""
    skin = document.item("skins", index)
    missing = [joint for joint in skin["joints"] if joint not in to_scene]
    if missing:
        raise RejectedAsset(Reason.UNREADABLE, f"{document.name} has a skin with joints outside the scene")
    places = np.stack([to_scene[joint] for joint in skin["joints"]])
    if "inverseBindMatrices" not in skin:
        return places
    inverse_bind = read_accessor(document, skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    return places @ inverse_bind[: len(places)]
