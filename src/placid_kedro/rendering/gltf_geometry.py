"""The triangles of glTF primitives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import DracoPy
import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import GltfDocument
from placid_kedro.rendering.gltf_accessors import normalized, read_accessor, read_fractions

_DRACO = "KHR_draco_mesh_compression"
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
# What decides place and colour; others (normals, tangents, a program's own) are not decoded.
_SEEN = ("POSITION", "TEXCOORD_", "COLOR_", "JOINTS_", "WEIGHTS_")
_FRACTIONS = ("COLOR_", "WEIGHTS_")
# Of a morph target; what else it moves (normals, tangents) is not seen.
_MORPHED = ("POSITION", "TEXCOORD_", "COLOR_")


@dataclass(frozen=True, eq=False)
class Primitive:
    """The triangles of one primitive in its mesh's axes.

    Attributes:
        attributes: by glTF's names, [V, K] each; float64, joints int64.
        faces: [F, 3] int64.
    """

    attributes: Mapping[str, NDArray[Any]]
    faces: NDArray[np.int64]


def triangle_count(document: GltfDocument, primitive: Mapping[str, Any]) -> int:
    """Triangles that a primitive announces; 0 for points and lines, which are no surface.

    Raises:
        RejectedAsset: it has a mode that does not exist.
    """
    mode = primitive.get("mode", _TRIANGLES)
    if mode not in range(7):
        raise RejectedAsset(Reason.UNREADABLE, f"{document.name} has a primitive of the unknown mode {mode}")
    if mode < _TRIANGLES:
        return 0
    index = primitive.get("indices", primitive["attributes"]["POSITION"])
    corners = int(document.item("accessors", index)["count"])
    return corners // 3 if mode == _TRIANGLES else max(corners - 2, 0)


def read_primitive(
    document: GltfDocument, primitive: Mapping[str, Any], weights: tuple[float, ...]
) -> Primitive:
    """Decode a primitive of a mode that has triangles.

    Args:
        document: the file.
        primitive: its JSON.
        weights: of its morph targets.

    Raises:
        RejectedAsset: it is compressed in a way that cannot be read, or has indices of vertices that it does not have.
    """
    draco = primitive.get("extensions", {}).get(_DRACO)
    names = {name: index for name, index in primitive["attributes"].items() if name.startswith(_SEEN)}
    if draco is not None:
        attributes, corners = _decode_draco(document, primitive, draco)
        attributes |= {name: _read(document, name, names[name]) for name in names if name not in attributes}
    else:
        attributes = {name: _read(document, name, index) for name, index in names.items()}
        count = len(attributes["POSITION"])
        corners = np.arange(count)
        if "indices" in primitive:
            corners = read_accessor(document, primitive["indices"])[:, 0]
    if {len(values) for values in attributes.values()} != {len(attributes["POSITION"])}:
        raise RejectedAsset(
            Reason.UNREADABLE, f"{document.name} has a primitive with lists of unequal lengths"
        )
    if corners.dtype != np.int64 or (len(corners) and corners.max() >= len(attributes["POSITION"])):
        raise RejectedAsset(Reason.UNREADABLE, f"{document.name} has faces of vertices that it does not have")
    _move(document, attributes, primitive.get("targets", []), weights)
    return Primitive(attributes, _faces(corners, primitive.get("mode", _TRIANGLES)))


def skinned(
    positions: NDArray[np.float64], attributes: Mapping[str, NDArray[Any]], joints: NDArray
) -> NDArray:
    """Where the joints hold the vertices: the mean of the joints' transforms with the vertices' weights.

    Args:
        positions: [V, 3].
        attributes: with `JOINTS_n` [V, 4] and `WEIGHTS_n` [V, 4].
        joints: [J, 4, 4].

    Returns:
        [V, 3].
    """
    total = np.zeros((len(positions), 4, 4))
    sums = np.zeros(len(positions))
    number = 0
    while f"JOINTS_{number}" in attributes:
        for joint, weight in zip(
            attributes[f"JOINTS_{number}"].T, attributes[f"WEIGHTS_{number}"].T, strict=True
        ):
            total += weight[:, None, None] * joints[joint]
            sums += weight
        number += 1
    # Vertices without weights hang on the first joint.
    total[sums <= 0], sums[sums <= 0] = joints[0], 1.0
    homogeneous = np.concatenate([positions, np.ones((len(positions), 1))], axis=1)
    moved: NDArray = np.einsum("vij,vj->vi", total / sums[:, None, None], homogeneous)[:, :3]
    return moved


def _read(document: GltfDocument, name: str, index: int) -> NDArray[Any]:
    """The accessor of an attribute."""
    return (read_fractions if name.startswith(_FRACTIONS) else read_accessor)(document, index)


def _faces(corners: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Triangles of a list, a strip (every second one turned) or a fan (glTF 2.0, 3.7.2.1)."""
    if mode == _TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    if len(corners) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == _FAN:
        return np.stack([corners[1:-1], corners[2:], np.full(len(corners) - 2, corners[0])], axis=1)
    faces = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    faces[1::2, 1:] = faces[1::2, :0:-1]
    return faces


def _move(
    document: GltfDocument,
    attributes: dict[str, NDArray[Any]],
    targets: list[dict[str, int]],
    weights: tuple[float, ...],
) -> None:
    """Add the morph targets times their weights."""
    for target, weight in zip(targets, weights, strict=False):
        for name, index in target.items():
            if weight and name.startswith(_MORPHED) and name in attributes:
                attributes[name] = attributes[name] + weight * _read(document, name, index)


def _decode_draco(
    document: GltfDocument, primitive: Mapping[str, Any], draco: Mapping[str, Any]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    try:
        mesh = DracoPy.decode(bytes(document.view_bytes(draco["bufferView"])))
    except (DracoPy.FileTypeException, ValueError, RuntimeError) as error:
        raise RejectedAsset(
            Reason.UNREADABLE, f"{document.name} has damaged data of {_DRACO}: {error}"
        ) from error
    by_id = {attribute["unique_id"]: np.asarray(attribute["data"]) for attribute in mesh.attributes}
    attributes = {}
    for name, identifier in draco["attributes"].items():
        if not name.startswith(_SEEN):
            continue
        values = by_id[identifier]
        accessor = document.item("accessors", primitive["attributes"][name])
        is_fraction = accessor.get("normalized", False) or name.startswith(_FRACTIONS)
        read = normalized(values) if is_fraction or values.dtype.kind == "f" else values.astype(np.int64)
        attributes[name] = read.reshape(len(values), -1)
    return attributes, np.asarray(mesh.faces, np.int64).reshape(-1)
