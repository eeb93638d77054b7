"""Names, addresses and versions in glTF files."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import load_mesh
from tests.rendering.gltf_case import SQUARE, points


@pytest.mark.parametrize("name", ["my scene.bin", "сцена.bin", "50%.bin", "a#b.bin", "sub/Ünï cödé.bin"])
@pytest.mark.parametrize("is_encoded", [True, False])
def test_names_are_percent_encoded_or_not(tmp_path: Path, new_gltf: Any, name: str, is_encoded: bool) -> None:
    file = new_gltf()
    file.write(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(file.binary)
    file.tree["buffers"][0]["uri"] = quote(name) if is_encoded else name
    (tmp_path / "a.gltf").write_text(json.dumps(file.tree))
    assert points(tmp_path / "a.gltf").tolist() == SQUARE.tolist()


@pytest.mark.parametrize("kind", ["base64", "percent"])
def test_data_in_the_name(tmp_path: Path, new_gltf: Any, kind: str) -> None:
    file = new_gltf()
    file.write(tmp_path)
    payload = base64.b64encode(file.binary).decode() if kind == "base64" else quote(bytes(file.binary))
    header = "data:application/octet-stream" + (";base64" if kind == "base64" else "")
    file.tree["buffers"][0]["uri"] = f"{header},{payload}"
    (tmp_path / "a.gltf").write_text(json.dumps(file.tree))
    assert points(tmp_path / "a.gltf").tolist() == SQUARE.tolist()


@pytest.mark.parametrize(
    "uri", ["%2e%2e/secret.bin", "..%2Fsecret.bin", "/etc/passwd", "file:///etc/passwd", "%00"]
)
def test_encoded_names_do_not_lead_outside(tmp_path: Path, new_gltf: Any, uri: str) -> None:
    file = new_gltf()
    (tmp_path / "inside").mkdir()
    file.write(tmp_path / "inside")
    (tmp_path / "secret.bin").write_bytes(file.binary)
    file.tree["buffers"][0]["uri"] = uri
    (tmp_path / "inside/a.gltf").write_text(json.dumps(file.tree))
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(tmp_path / "inside/a.gltf")
    assert raised.value.reason in (Reason.PATH_OUTSIDE, Reason.MISSING_FILE)


def test_faces_without_area_harm_nothing(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf(faces=(0, 0, 0, 1, 1, 2, 0, 1, 2))
    assert len(load_mesh(file.write(tmp_path)).faces) == 3


@pytest.mark.parametrize("kind", ["json", "binary"])
def test_the_first_version_of_the_format_is_named(tmp_path: Path, kind: str) -> None:
    if kind == "json":
        content = json.dumps({"asset": {"version": "1.0"}, "meshes": {"a": {}}, "nodes": {}}).encode()
    else:
        content = b"glTF" + np.array([1, 40, 20, 0], "<u4").tobytes() + b"{}" + bytes(18)
    (tmp_path / "a.glb").write_bytes(content)
    with pytest.raises(RejectedAsset, match=r"glTF 1\.0.*gltf-pipeline") as raised:
        load_mesh(tmp_path / "a.glb")
    assert raised.value.reason is Reason.UNKNOWN_FORMAT


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n  "])
def test_what_a_file_holds_counts_and_not_its_ending(tmp_path: Path, new_gltf: Any, mark: bytes) -> None:
    file = new_gltf()
    path = file.write(tmp_path, "a.gltf")
    assert points(path).tolist() == SQUARE.tolist()
    uri = "data:;base64," + base64.b64encode(file.binary).decode()
    file.tree["buffers"][0]["uri"] = uri
    (tmp_path / "b.glb").write_bytes(mark + json.dumps(file.tree).encode())
    assert points(tmp_path / "b.glb").tolist() == SQUARE.tolist()


def test_names_with_the_separators_of_windows(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    file.write(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.bin").write_bytes(file.binary)
    file.tree["buffers"][0]["uri"] = "sub\\A.bin"
    (tmp_path / "a.gltf").write_text(json.dumps(file.tree))
    assert points(tmp_path / "a.gltf").tolist() == SQUARE.tolist()
