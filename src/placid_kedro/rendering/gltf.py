"""glTF 2.0 files: their JSON, their buffers, and what they need a reader to know."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.side_files import SideFiles

_MAGIC = b"glTF"
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942

_LISTS = (
    "accessors", "bufferViews", "buffers", "extensionsRequired", "images", "materials", "meshes", "nodes",
    "samplers", "scenes", "skins", "textures",
)  # fmt: skip

# Extensions whose data is read, and those that change neither shape nor colour as they are drawn here.
_READ = {
    "EXT_mesh_gpu_instancing", "EXT_texture_webp", "KHR_draco_mesh_compression", "KHR_materials_emissive_strength",
    "KHR_materials_pbrSpecularGlossiness", "KHR_materials_unlit", "KHR_mesh_quantization", "KHR_node_visibility",
    "KHR_texture_transform",
}  # fmt: skip
_HARMLESS = {
    "EXT_lights_image_based", "EXT_mesh_features", "EXT_structural_metadata", "FB_ngon_encoding",
    "KHR_animation_pointer", "KHR_lights_punctual", "KHR_materials_anisotropy", "KHR_materials_clearcoat",
    "KHR_materials_dispersion", "KHR_materials_ior", "KHR_materials_iridescence", "KHR_materials_sheen",
    "KHR_materials_specular", "KHR_materials_variants", "KHR_xmp", "KHR_xmp_json_ld", "MSFT_lod",
}  # fmt: skip
# How to make a file that is read of one that is not.
_CONVERTERS = {
    "EXT_meshopt_compression": "gltf-transform copy IN.glb OUT.glb",
    "KHR_meshopt_compression": "gltf-transform copy IN.glb OUT.glb",
    "KHR_texture_basisu": "gltf-transform ktxdecompress IN.glb OUT.glb",  # needs KTX-Software
    "EXT_texture_avif": "gltf-transform png IN.glb OUT.glb",
    "MSFT_texture_dds": "gltf-transform png IN.glb OUT.glb",
}


def not_read(asset: str, extension: str) -> RejectedAsset:
    """The rejection of a file for an extension that is not read, with what converts it."""
    converter = _CONVERTERS.get(extension)
    advice = (
        f"convert it with `{converter}`"
        if converter
        else "save it without, e.g. with gltf-transform or Blender"
    )
    return RejectedAsset(
        Reason.UNKNOWN_FORMAT, f"{asset} needs the extension {extension}, which is not read: {advice}"
    )


@dataclass(frozen=True)
class GltfDocument:
    """An opened glTF file.

    Attributes:
        name: of the file, for messages.
        tree: its JSON.
        binary: the GLB's own buffer; empty for a GLTF file.
        files: the files beside it.
        max_elements: of one list.
    """

    name: str
    tree: dict[str, Any]
    binary: bytes
    files: SideFiles
    max_elements: int
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """The list of that name at the JSON's top, e.g. `nodes`."""
        found: list[dict[str, Any]] = self.tree.get(kind, [])
        return found

    def item(self, kind: str, index: int) -> dict[str, Any]:
        """One entry of such a list.

        Raises:
            RejectedAsset: there is none of that index.
        """
        found = self.items(kind)
        # Python would count negative ones from the end.
        if not isinstance(index, int) or not 0 <= index < len(found):
            raise RejectedAsset(Reason.UNREADABLE, f"{self.name} has no entry {index} of its {kind}")
        return found[index]

    def check_extensions(self) -> None:
        """
        Raises:
            RejectedAsset: the file needs an extension that is not read.
        """
        for extension in self.tree.get("extensionsRequired", []):
            if extension not in _READ | _HARMLESS:
                raise not_read(self.name, extension)

    def view_bytes(self, index: int) -> memoryview:
        """The bytes of a buffer view.

        Raises:
            RejectedAsset: it is longer than its buffer, or its buffer has no data.
        """
        view = self.item("bufferViews", index)
        data = self._buffer(view["buffer"], view)
        start, length = view.get("byteOffset", 0), view["byteLength"]
        if start < 0 or length < 0 or start + length > len(data):
            raise RejectedAsset(
                Reason.TRUNCATED,
                f"{self.name} reads to byte {start + length} of a buffer of {len(data)} bytes",
            )
        return memoryview(data)[start : start + length]

    def image_bytes(self, index: int) -> bytes:
        """The content of an image file."""
        image = self.item("images", index)
        if "uri" in image:
            return self._uri_bytes(image["uri"])
        return bytes(self.view_bytes(image["bufferView"]))

    def _buffer(self, index: int, view: dict[str, Any]) -> bytes:
        if index not in self._buffers:
            buffer = self.item("buffers", index)
            if "uri" in buffer:
                self._buffers[index] = self._uri_bytes(buffer["uri"])
            elif index == 0 and self.binary:
                self._buffers[index] = self.binary
            else:
                # What stands in for compressed data has no bytes.
                for extension in view.get("extensions", {}):
                    raise not_read(self.name, extension)
                raise RejectedAsset(Reason.UNREADABLE, f"{self.name} has no data for its buffer {index}")
        return self._buffers[index]

    def _uri_bytes(self, uri: str) -> bytes:
        """What a `uri` stands for: the data itself or the file of that percent-encoded name (glTF 2.0, 2.8)."""
        if uri.startswith("data:"):
            header, _, payload = uri.partition(",")
            return base64.b64decode(payload) if header.endswith(";base64") else unquote_to_bytes(payload)
        decoded = unquote(uri)
        # Some write names as they are, or with the separators of Windows.
        names = (decoded, uri, decoded.replace("\\", "/"))
        return self.files.read(next((name for name in names if self.files.find(name)), decoded))


def open_gltf(path: Path, files: SideFiles, max_elements: int) -> GltfDocument:
    """Read the JSON of a `.glb` or `.gltf` file.

    Raises:
        RejectedAsset: the file is no glTF 2.0, or shorter than it says.
    """
    data = path.read_bytes()
    try:
        # What a file holds counts, whatever its name ends with.
        is_json = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
        tree, binary = (_json(data), b"") if is_json else _glb_chunks(path, data)
        version = str(tree["asset"]["version"])
        if not version.startswith("2"):
            raise _other_version(path, version)
        for kind in _LISTS:
            if not isinstance(tree.get(kind, []), list):
                raise ValueError(f"its {kind} are no list")
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} is no glTF file: {error}") from error
    return GltfDocument(path.name, tree, binary, files, max_elements)


def _other_version(path: Path, version: str) -> RejectedAsset:
    return RejectedAsset(
        Reason.UNKNOWN_FORMAT,
        f"{path.name} is glTF {version}; only 2.0 is read: convert it, e.g. with gltf-pipeline",
    )


def _json(data: bytes) -> dict[str, Any]:
    """Raises ValueError also for NaN and infinity, which Python takes for JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    tree: dict[str, Any] = json.loads(data, parse_constant=refuse)
    return tree


def _glb_chunks(path: Path, data: bytes) -> tuple[dict[str, Any], bytes]:
    if data[:4] != _MAGIC:
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} does not begin with 'glTF'")
    _, version, length, json_length, json_type = struct.unpack_from("<4s4I", data)
    if version != 2:
        raise _other_version(path, f"{version}.0")
    if length > len(data) or 20 + json_length > len(data):
        raise RejectedAsset(
            Reason.TRUNCATED, f"{path.name} has {len(data)} bytes where its header says {length}"
        )
    if json_type != _JSON_CHUNK:
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} has no JSON chunk")
    tree = _json(data[20 : 20 + json_length])
    offset = 20 + json_length
    binary = b""
    if offset + 8 <= length:
        binary_length, binary_type = struct.unpack_from("<2I", data, offset)
        binary = data[offset + 8 : offset + 8 + binary_length] if binary_type == _BINARY_CHUNK else b""
    return tree, binary
