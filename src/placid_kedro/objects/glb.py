"""Writing GLB files (glTF 2.0), so that every library ends in one format and keeps its colours exactly."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from placid_kedro.files import new_file
from placid_kedro.rendering.surfaces import CLAMP, MIRROR, REPEAT, Paint, Part, Surface, Texture

_FLOAT, _UNSIGNED_INT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_WRAPS = {REPEAT: 10497, CLAMP: 33071, MIRROR: 33648}
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


class _Images:
    """The textures of a file, each image once."""

    def __init__(self, buffer: _Buffer) -> None:
        self._buffer = buffer
        self._sources: dict[int, int] = {}
        self.images: list[dict[str, Any]] = []
        self.samplers: list[dict[str, Any]] = []
        self.textures: list[dict[str, Any]] = []
        self._numbers: dict[Texture, int] = {}

    def number(self, texture: Texture) -> int:
        """The index of a texture."""
        if texture not in self._numbers:
            key = id(texture.pixels)
            if key not in self._sources:
                self._sources[key] = len(self.images)
                view = self._buffer.add_bytes(_png(texture.pixels))
                self.images.append({"bufferView": view, "mimeType": "image/png"})
            described: dict[str, Any] = {"source": self._sources[key]}
            if texture.wrap != (REPEAT, REPEAT):
                sampler = {"wrapS": _WRAPS[texture.wrap[0]], "wrapT": _WRAPS[texture.wrap[1]]}
                if sampler not in self.samplers:
                    self.samplers.append(sampler)
                described["sampler"] = self.samplers.index(sampler)
            self._numbers[texture] = len(self.textures)
            self.textures.append(described)
        return self._numbers[texture]


def write_glb(parts: list[Part], path: Path, rotation: NDArray[np.float64] | None = None) -> None:
    """Write y-up parts as one GLB file; the same input gives the same bytes.

    Colours are kept as exactly as the format allows: factors as decimal numbers, textures as PNG.

    Args:
        parts: as `load_parts` gives them; what shines must have one colour or one texture times white.
        path: of the `.glb` file.
        rotation: [3, 3], applied to the vertices.
    """
    buffer = _Buffer()
    images = _Images(buffer)
    materials: list[dict[str, Any]] = []
    primitives = []
    for number, part in enumerate(parts):
        vertices = part.vertices if rotation is None else part.vertices @ rotation.T
        attributes = {"POSITION": buffer.add_array(vertices.astype("<f4"), _FLOAT, _ARRAY_BUFFER)}
        primitive: dict[str, Any] = {"attributes": attributes, "mode": 4}
        surface = part.surface
        if surface.is_colored:
            primitive["material"] = len(materials)
            materials.append(_material(f"material-{number}", surface, attributes, buffer, images))
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
    listed = {
        "materials": materials,
        "images": images.images,
        "textures": images.textures,
        "samplers": images.samplers,
    }
    _write(path, tree | {kind: items for kind, items in listed.items() if items}, bytes(buffer.data))


def _material(
    name: str, surface: Surface, attributes: dict[str, int], buffer: _Buffer, images: _Images
) -> dict[str, Any]:
    """A material's JSON; its vertex colours and texture coordinates are added to the primitive's attributes."""
    base, emission = surface.base, surface.emission
    described: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    if (base.color != base.color[0]).any():
        attributes["COLOR_0"] = buffer.add_array(base.color.astype("<f4"), _FLOAT, _ARRAY_BUFFER)
    else:
        described["baseColorFactor"] = base.color[0].astype(np.float64).tolist()
    sets: list[NDArray[np.float32]] = []
    if base.texture is not None:
        described["baseColorTexture"] = _reference(base, sets, images)
    material: dict[str, Any] = {"name": name, "pbrMetallicRoughness": described, "doubleSided": True}
    if emission is not None:
        material["emissiveFactor"] = emission.color[0, :3].astype(np.float64).tolist()
        if emission.texture is not None:
            material["emissiveTexture"] = _reference(emission, sets, images)
    for number, uv in enumerate(sets):
        attributes[f"TEXCOORD_{number}"] = buffer.add_array(uv.astype("<f4"), _FLOAT, _ARRAY_BUFFER)
    if np.isnan(surface.alpha_cutoff):
        material["alphaMode"] = "BLEND"
    elif surface.alpha_cutoff > 0:
        material |= {"alphaMode": "MASK", "alphaCutoff": surface.alpha_cutoff}
    return material


def _reference(paint: Paint, sets: list[NDArray[np.float32]], images: _Images) -> dict[str, int]:
    """What points to a texture, in the set of texture coordinates that it shares or adds."""
    assert paint.texture is not None
    # Texture coordinates count from the top in glTF.
    uv = np.stack([paint.uv[:, 0], 1 - paint.uv[:, 1]], axis=1)
    alike = [number for number, known in enumerate(sets) if np.array_equal(known, uv)]
    if not alike:
        sets.append(uv)
    number = alike[0] if alike else len(sets) - 1
    return {"index": images.number(paint.texture)} | ({"texCoord": number} if number else {})


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    is_opaque = (pixels[..., 3] == 255).all()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3]) if is_opaque else pixels).save(
        stream, format="PNG", compress_level=1
    )
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
