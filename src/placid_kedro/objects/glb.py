"""Writing GLB files (glTF 2.0), so that every library ends in one format and keeps its colours exactly."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placid_kedro.files import new_file
from placid_kedro.rendering.surfaces import PartSurface, part_surface, srgb_to_linear

if TYPE_CHECKING:
    import trimesh

_FLOAT, _UNSIGNED_INT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


class _Buffer:
    """The binary chunk, and the views and accessors into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add_bytes(self, content: bytes, target: int | None = None) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        if target is not None:
            view["target"] = target
        self.data += content
        self.views.append(view)
        return len(self.views) - 1

    def add_array(self, values: NDArray[Any], component: int, target: int) -> int:
        width = values.shape[1] if values.ndim == 2 else 1
        accessor = {
            "bufferView": self.add_bytes(np.ascontiguousarray(values).tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": _TYPES[width],
        }
        if width == 3:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_glb(parts: list[trimesh.Trimesh], path: Path, rotation: NDArray[np.float64] | None = None) -> None:
    """Write y-up meshes as one GLB file; the same input gives the same bytes.

    Colours are kept as exactly as the format allows: factors as decimal numbers, textures as PNG.

    Args:
        parts: each with its visual, as trimesh loads them.
        path: of the `.glb` file.
        rotation: [3, 3], applied to the vertices.
    """
    buffer = _Buffer()
    materials: list[dict[str, Any]] = []
    textures: dict[int, int] = {}
    images: list[dict[str, Any]] = []
    primitives = []
    for number, part in enumerate(parts):
        vertices = np.asarray(part.vertices, np.float64)
        if rotation is not None:
            vertices = vertices @ rotation.T
        attributes = {"POSITION": buffer.add_array(vertices.astype("<f4"), _FLOAT, _ARRAY_BUFFER)}
        primitive: dict[str, Any] = {"attributes": attributes, "mode": 4}
        surface = part_surface(part)
        if surface.image is not None:
            if id(surface.image) not in textures:
                textures[id(surface.image)] = len(images)
                images.append({"bufferView": buffer.add_bytes(_png(surface.image)), "mimeType": "image/png"})
            # Texture coordinates count from the top in glTF.
            uv = np.stack([surface.uv[:, 0], 1 - surface.uv[:, 1]], axis=1)
            attributes["TEXCOORD_0"] = buffer.add_array(uv.astype("<f4"), _FLOAT, _ARRAY_BUFFER)
        if surface.is_colored:
            texture = textures.get(id(surface.image))
            if texture is None and (surface.color != surface.color[0]).any():
                attributes["COLOR_0"] = buffer.add_array(surface.color.astype("<f4"), _FLOAT, _ARRAY_BUFFER)
            else:
                primitive["material"] = len(materials)
                materials.append(_material(f"material-{number}", surface, texture))
        faces = np.asarray(part.faces, "<u4").reshape(-1)
        primitive["indices"] = buffer.add_array(faces, _UNSIGNED_INT, _ELEMENT_BUFFER)
        primitives.append(primitive)
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "placid_kedro"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": primitives}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    if materials:
        tree["materials"] = materials
    if images:
        tree |= {"images": images, "textures": [{"source": index} for index in range(len(images))]}
    _write(path, tree, bytes(buffer.data))


def _material(name: str, surface: PartSurface, texture: int | None) -> dict[str, Any]:
    color = surface.color[0].astype(np.float64)
    factor = [*srgb_to_linear(color[:3]).tolist(), min(float(color[3]), 1.0)]
    described: dict[str, Any] = {"baseColorFactor": factor, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    if texture is not None:
        described["baseColorTexture"] = {"index": texture}
    return {
        "name": name,
        "pbrMetallicRoughness": described,
        "doubleSided": True,
        "alphaMode": "OPAQUE" if color[3] > 1 else "BLEND",
    }


def _png(image: Any) -> bytes:
    stream = io.BytesIO()
    # Palettes and grey images become plain colours: not every reader knows them.
    plain = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA")
    plain.save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def _write(path: Path, tree: dict[str, Any], binary: bytes) -> None:
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    with new_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, length))
        stream.write(struct.pack("<I4s", len(text), b"JSON") + text)
        stream.write(struct.pack("<I4s", len(binary), b"BIN\0") + binary)
