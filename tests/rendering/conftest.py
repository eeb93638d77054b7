"""Small glTF files, written part by part."""

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from placid_kedro.rendering import Mesh
from placid_kedro.rendering.mesh import surface_color

COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
# A square that faces the front (+z), from bottom left; in the house's world it spans y and z.
SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], "<f4")
SQUARE_UV = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], "<f4")
SQUARE_FACES = (0, 1, 2, 0, 2, 3)


class GltfFile:
    """A glTF file whose lists grow; with the square as mesh 0 on node 0."""

    def __init__(
        self, positions: np.ndarray = SQUARE, faces: tuple[int, ...] | None = SQUARE_FACES, **primitive: Any
    ):
        self.binary = bytearray()
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
            "meshes": [], "accessors": [], "bufferViews": [],
        }  # fmt: skip
        self.primitive: dict[str, Any] = {"attributes": {"POSITION": self.accessor(positions)}} | primitive
        if faces is not None:
            self.primitive["indices"] = self.accessor(np.array(faces, "<u4"))
        self.tree["meshes"].append({"primitives": [self.primitive]})

    def add(self, kind: str, item: dict[str, Any]) -> int:
        self.tree.setdefault(kind, []).append(item)
        return len(self.tree[kind]) - 1

    def view(self, data: bytes, **extra: Any) -> int:
        self.binary += bytes(-len(self.binary) % 4)
        place = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.binary += data
        return self.add("bufferViews", place | extra)

    def accessor(self, values: np.ndarray, **extra: Any) -> int:
        values = np.asarray(values)
        width = values[0].size
        described = {
            "bufferView": self.view(values.tobytes()), "componentType": COMPONENTS[values.dtype.str[1:]],
            "count": len(values), "type": TYPES[width],
        }  # fmt: skip
        return self.add("accessors", described | extra)

    def attribute(self, name: str, values: np.ndarray, **extra: Any) -> None:
        self.primitive["attributes"][name] = self.accessor(values, **extra)

    def texture(self, pixels: np.ndarray, **sampler: int) -> int:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        image = self.add("images", {"bufferView": self.view(stream.getvalue()), "mimeType": "image/png"})
        extra = {"sampler": self.add("samplers", sampler)} if sampler else {}
        return self.add("textures", {"source": image} | extra)

    def material(self, **described: Any) -> None:
        self.primitive["material"] = self.add("materials", described)

    def write(self, folder: Path, name: str = "a.glb") -> Path:
        self.tree["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        binary = bytes(self.binary) + bytes(-len(self.binary) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
        (folder / name).write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        return folder / name


@pytest.fixture
def new_gltf() -> type[GltfFile]:
    return GltfFile


@pytest.fixture
def square_color() -> Callable[[Mesh, float, float], np.ndarray]:
    """The RGBA in [0, 1] of a mesh that is the square alone, at x and y of the file's square."""

    def look(mesh: Mesh, x: float, y: float) -> np.ndarray:
        # Corners 0, 1, 2 of the first face and 0, 2, 3 of the second; u and v weigh the latter two.
        face, u, v = (0, (x - y) / 2, (y + 1) / 2) if x >= y else (1, (x + 1) / 2, (y - x) / 2)
        where = (np.array([value], kind) for value, kind in ((face, "i4"), (u, "f4"), (v, "f4")))
        return surface_color(mesh, *where)[0].astype(float).round(6)

    return look
