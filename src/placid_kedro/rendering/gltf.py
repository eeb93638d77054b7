"""What a GLB or GLTF file says of itself, read before anything is decoded or allocated."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from placid_kedro.rejections import Reason, RejectedAsset

_MAGIC = b"glTF"
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_TRIANGLES = 4


@dataclass(frozen=True)
class GltfHeader:
    """The JSON part of a glTF 2.0 file.

    Attributes:
        tree: the JSON.
        binary: the GLB's own buffer; empty for a GLTF file.
    """

    tree: dict[str, Any]
    binary: bytes

    def face_count(self) -> int:
        """Triangles that the meshes' accessors announce; a mesh that is placed twice counts twice."""
        placed = Counter(node["mesh"] for node in self.tree.get("nodes", []) if "mesh" in node)
        accessors = self.tree.get("accessors", [])
        total = 0
        for index, mesh in enumerate(self.tree.get("meshes", [])):
            for primitive in mesh["primitives"]:
                if primitive.get("mode", _TRIANGLES) < _TRIANGLES:
                    continue
                corners = accessors[primitive.get("indices", primitive["attributes"]["POSITION"])]["count"]
                total += int(corners) // 3 * placed[index]
        return total

    def largest_accessor(self) -> int:
        """Elements of the longest accessor: how much a reader is made to allocate."""
        return max((int(accessor["count"]) for accessor in self.tree.get("accessors", [])), default=0)

    def color_factors(self) -> dict[str, tuple[float, ...]]:
        """`baseColorFactor` (linear RGBA) by material, of the materials whose name no other one has."""
        materials = self.tree.get("materials", [])
        names = Counter(material.get("name") for material in materials)
        return {
            material["name"]: tuple(map(float, material["pbrMetallicRoughness"]["baseColorFactor"]))
            for material in materials
            if material.get("name")
            and names[material["name"]] == 1
            and "baseColorFactor" in material.get("pbrMetallicRoughness", {})
        }

    def check_textures(self, read: Callable[[str], bytes], max_pixels: int) -> None:
        """Look at the header of every image that colours a surface.

        Args:
            read: gives the bytes of a file beside the asset, by name.
            max_pixels: of one image.

        Raises:
            RejectedAsset: an image is not one, is too large, or lies outside the asset's folder.
        """
        for index in sorted(self._color_images()):
            data = self._image_bytes(self.tree["images"][index], read)
            try:
                with Image.open(io.BytesIO(data)) as image:
                    width, height = image.size
            except (OSError, Image.DecompressionBombError) as error:
                raise RejectedAsset(
                    Reason.TEXTURE_UNREADABLE, f"texture {index} cannot be read: {error}"
                ) from error
            if width * height > max_pixels:
                raise RejectedAsset(
                    Reason.TOO_LARGE,
                    f"texture {index} has {width} x {height} pixels, allowed are {max_pixels}",
                )

    def _color_images(self) -> set[int]:
        textures = self.tree.get("textures", [])
        used: set[int] = set()
        for material in self.tree.get("materials", []):
            extensions = material.get("extensions", {})
            glossy = extensions.get("KHR_materials_pbrSpecularGlossiness", {}).get("diffuseTexture")
            for reference in (material.get("pbrMetallicRoughness", {}).get("baseColorTexture"), glossy):
                if reference is not None:
                    texture = textures[reference["index"]]
                    webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
                    used.add(webp.get("source", texture.get("source")))
        return used - {None}

    def _image_bytes(self, image: dict[str, Any], read: Callable[[str], bytes]) -> bytes:
        if "uri" in image:
            return uri_bytes(image["uri"], read)
        view = self.tree["bufferViews"][image["bufferView"]]
        uri = self.tree["buffers"][view["buffer"]].get("uri")
        data = self.binary if uri is None else uri_bytes(uri, read)
        start = view.get("byteOffset", 0)
        return data[start : start + view["byteLength"]]


def uri_bytes(uri: str, read: Callable[[str], bytes]) -> bytes:
    """What a glTF `uri` stands for: base64 data or the file of that name."""
    _, separator, payload = uri.partition("base64,")
    return base64.b64decode(payload) if separator and uri.startswith("data:") else read(uri)


def read_header(path: Path) -> GltfHeader:
    """Read the JSON of a `.glb` or `.gltf` file.

    Raises:
        RejectedAsset: the file is no glTF 2.0, or shorter than it says.
    """
    data = path.read_bytes()
    try:
        header = (
            _glb_header(path, data) if path.suffix.lower() == ".glb" else GltfHeader(json.loads(data), b"")
        )
        version = str(header.tree["asset"]["version"])
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} is no glTF file: {error}") from error
    if not version.startswith("2"):
        raise RejectedAsset(Reason.UNKNOWN_FORMAT, f"{path.name} is glTF {version}; only 2.0 can be read")
    return header


def _glb_header(path: Path, data: bytes) -> GltfHeader:
    if data[:4] != _MAGIC:
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} does not begin with 'glTF'")
    _, _, length, json_length, json_type = struct.unpack_from("<4s4I", data)
    if length > len(data) or 20 + json_length > len(data):
        raise RejectedAsset(
            Reason.TRUNCATED, f"{path.name} has {len(data)} bytes where its header says {length}"
        )
    if json_type != _JSON_CHUNK:
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} has no JSON chunk")
    tree = json.loads(data[20 : 20 + json_length])
    offset = 20 + json_length
    binary = b""
    if offset + 8 <= length:
        binary_length, binary_type = struct.unpack_from("<2I", data, offset)
        binary = data[offset + 8 : offset + 8 + binary_length] if binary_type == _BINARY_CHUNK else b""
    return GltfHeader(tree, binary)
