"""The arrays of glTF files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.gltf import GltfDocument

_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}


def read_fractions(document: GltfDocument, index: int) -> NDArray[np.float64]:
    """Colours or weights [N, K]: integers are normalized, also where a file forgets to say so."""
    return normalized(_read_accessor(document, index))


def read_accessor(document: GltfDocument, index: int) -> NDArray[Any]:
    """An accessor's elements [N, K]: float64, or int64 where the file has integers that are not normalized.

    Strides, sparse values and normalized integers are as glTF 2.0, 3.6.2, describes them; an accessor without
    data is zeros.

    Raises:
        RejectedAsset: it reaches beyond its data, or has a type that no mesh has.
    """
    values = _read_accessor(document, index)
    if document.item("accessors", index).get("normalized", False):
        return normalized(values)
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _read_accessor(document: GltfDocument, index: int) -> NDArray[Any]:
    """The elements [N, K] in the file's own type."""
    accessor = document.item("accessors", index)
    count, width = int(accessor["count"]), _width(document, accessor)
    kind = _type(document, accessor["componentType"])
    if count > document.max_elements:
        raise RejectedAsset(Reason.TOO_LARGE, f"{document.name} announces a list of {count} elements")
    if "bufferView" in accessor:
        values = _read(document, accessor["bufferView"], accessor.get("byteOffset", 0), kind, count, width)
    else:
        values = np.zeros((count, width), kind)
    if "sparse" in accessor:
        _put_sparse(document, accessor["sparse"], values)
    return values


def normalized(values: NDArray[Any]) -> NDArray[Any]:
    """Integers as numbers in [0, 1] or [-1, 1] (glTF 2.0, 3.11); float64."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return np.maximum(values / np.iinfo(values.dtype).max, -1.0)


def _put_sparse(document: GltfDocument, sparse: dict[str, Any], values: NDArray[Any]) -> None:
    where, what = sparse["indices"], sparse["values"]
    count = int(sparse["count"])
    kind = _type(document, where["componentType"])
    places = _read(document, where["bufferView"], where.get("byteOffset", 0), kind, count, 1)[:, 0]
    if kind.kind != "u" or (len(places) and places.max() >= len(values)):
        raise RejectedAsset(
            Reason.UNREADABLE, f"{document.name} has sparse values for elements it does not have"
        )
    offset = what.get("byteOffset", 0)
    values[places] = _read(document, what["bufferView"], offset, values.dtype, count, values.shape[1])


def _read(
    document: GltfDocument, view_index: int, offset: int, kind: np.dtype, count: int, width: int
) -> NDArray[Any]:
    data = document.view_bytes(view_index)
    size = width * kind.itemsize
    stride = document.item("bufferViews", view_index).get("byteStride") or size
    if count == 0:
        return np.zeros((0, width), kind)
    if offset < 0 or count < 0 or stride < size or offset + (count - 1) * stride + size > len(data):
        raise RejectedAsset(
            Reason.TRUNCATED, f"{document.name} has a list of {count} elements that is longer than its data"
        )
    return np.ndarray((count, width), kind, data, offset, (stride, kind.itemsize)).copy()


def _width(document: GltfDocument, accessor: dict[str, Any]) -> int:
    if accessor["type"] not in _WIDTHS:
        raise RejectedAsset(Reason.UNREADABLE, f"{document.name} has a list of {accessor['type']}")
    return _WIDTHS[accessor["type"]]


def _type(document: GltfDocument, component: int) -> np.dtype:
    if component not in _TYPES:
        raise RejectedAsset(Reason.UNREADABLE, f"{document.name} has numbers of the unknown type {component}")
    return np.dtype(_TYPES[component])
