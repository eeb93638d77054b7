"""Files that are broken, hostile or too expensive are refused with a reason; good ones keep their colours."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import MeshLimits, load_mesh
from placid_kedro.rendering.mesh import surface_color
from placid_kedro.rendering.surfaces import linear_to_srgb, srgb_to_linear

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4")


def gltf(
    vertices: np.ndarray = TRIANGLE, indices: tuple[int, ...] = (0, 1, 2), mode: int = 4
) -> tuple[dict, bytes]:
    """JSON and buffer of a minimal glTF file."""
    faces = np.array(indices, "<u4")
    binary = vertices.astype("<f4").tobytes() + faces.tobytes()
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(vertices), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": len(faces), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": vertices.size * 4},
            {"buffer": 0, "byteOffset": vertices.size * 4, "byteLength": faces.size * 4},
        ],
        "buffers": [{"byteLength": len(binary)}],
    }
    return tree, binary


def write_glb(path: Path, tree: dict, binary: bytes) -> Path:
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    )
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


def with_texture(uri: str | None = None, content: bytes = b"") -> tuple[dict, bytes]:
    """The triangle with a base colour texture, inside the buffer or by URI."""
    tree, binary = gltf()
    image: dict = {"uri": uri}
    if uri is None:
        tree["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
        image = {"bufferView": 2, "mimeType": "image/png"}
        binary += content + b"\0" * (-len(content) % 4)
        tree["buffers"][0]["byteLength"] = len(binary)
    tree |= {
        "images": [image],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    }
    tree["meshes"][0]["primitives"][0]["material"] = 0
    return tree, binary


def truncated(folder: Path) -> Path:
    path = write_glb(folder / "a.glb", *gltf())
    path.write_bytes(path.read_bytes()[:-8])
    return path


def empty(folder: Path) -> Path:
    (folder / "a.glb").touch()
    return folder / "a.glb"


def zip_bomb(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.glb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**22))
    return folder / "a.glb"


def text(folder: Path) -> Path:
    (folder / "a.obj").write_text("this is no mesh\n")
    return folder / "a.obj"


def other_format(folder: Path) -> Path:
    (folder / "a.blend").write_bytes(b"BLENDER")
    return folder / "a.blend"


def huge_announcement(folder: Path) -> Path:
    """Two accessors without data, which a reader has to fill with zeros."""
    tree, binary = gltf()
    for accessor in tree["accessors"]:
        accessor.pop("bufferView")
        accessor["count"] = 2**31
    return write_glb(folder / "a.glb", tree, binary)


def many_faces(folder: Path) -> Path:
    return write_glb(folder / "a.glb", *gltf(indices=(0, 1, 2) * 200))


def many_faces_obj(folder: Path) -> Path:
    (folder / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "f 1 2 3\n" * 200)
    return folder / "a.obj"


def climbing_buffer(folder: Path) -> Path:
    tree, binary = gltf()
    (folder / "buffer.bin").write_bytes(binary)
    (folder / "inside").mkdir()
    tree["buffers"][0]["uri"] = "../buffer.bin"
    (folder / "inside/a.gltf").write_text(json.dumps(tree))
    return folder / "inside/a.gltf"


def climbing_image(folder: Path) -> Path:
    (folder / "inside").mkdir()
    Image.new("RGB", (2, 2)).save(folder / "secret.png")
    return write_glb(folder / "inside/a.glb", *with_texture("../secret.png"))


def climbing_mtl(folder: Path) -> Path:
    (folder / "inside").mkdir()
    Image.new("RGB", (2, 2)).save(folder / "secret.png")
    (folder / "inside/a.mtl").write_text("newmtl m\nmap_Kd ../secret.png\n")
    (folder / "inside/a.obj").write_text(
        "mtllib a.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    return folder / "inside/a.obj"


def broken_texture(folder: Path) -> Path:
    return write_glb(folder / "a.glb", *with_texture(content=b"this is no image"))


def large_texture(folder: Path) -> Path:
    Image.new("L", (4000, 3000)).save(folder / "large.png")
    return write_glb(folder / "a.glb", *with_texture(content=(folder / "large.png").read_bytes()))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (truncated, Reason.TRUNCATED),
        (empty, Reason.TRUNCATED),
        (zip_bomb, Reason.UNREADABLE),
        (text, Reason.NO_FACES),
        (other_format, Reason.UNKNOWN_FORMAT),
        (lambda folder: folder / "none.glb", Reason.MISSING_FILE),
        (lambda folder: write_glb(folder / "a.glb", *gltf(TRIANGLE * np.nan)), Reason.NOT_FINITE),
        (lambda folder: write_glb(folder / "a.glb", *gltf(TRIANGLE / 0.0)), Reason.NOT_FINITE),
        (lambda folder: write_glb(folder / "a.glb", *gltf(mode=0)), Reason.NO_FACES),
        (lambda folder: write_glb(folder / "a.glb", *gltf(TRIANGLE * 0)), Reason.NO_EXTENT),
        (lambda folder: write_glb(folder / "a.glb", *gltf(indices=(0, 1, 7))), Reason.UNREADABLE),
        (
            lambda folder: write_glb(folder / "a.glb", {"asset": {"version": "2.0"}, "meshes": 3}, b""),
            Reason.UNREADABLE,
        ),
        (
            lambda folder: write_glb(folder / "a.glb", {"asset": {"version": "1.0"}}, b""),
            Reason.UNKNOWN_FORMAT,
        ),
        (huge_announcement, Reason.TOO_MANY_FACES),
        (many_faces, Reason.TOO_MANY_FACES),
        (many_faces_obj, Reason.TOO_MANY_FACES),
        (climbing_buffer, Reason.PATH_OUTSIDE),
        (climbing_image, Reason.PATH_OUTSIDE),
        (climbing_mtl, Reason.PATH_OUTSIDE),
        (broken_texture, Reason.TEXTURE_UNREADABLE),
        (large_texture, Reason.TOO_LARGE),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_files_are_refused_with_a_reason(
    tmp_path: Path, make: Callable[[Path], Path], reason: Reason
) -> None:
    limits = MeshLimits(max_bytes=10**7, max_faces=100, max_texture_pixels=10**6)
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(make(tmp_path), limits)
    assert raised.value.reason is reason
    assert "\n" not in str(raised.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = write_glb(tmp_path / "a.glb", *gltf())
    with pytest.raises(RejectedAsset, match="allowed are 16"):
        load_mesh(path, MeshLimits(max_bytes=16))


def test_files_inside_the_folder_are_read(tmp_path: Path) -> None:
    tree, binary = with_texture("textures/red.png")
    (tmp_path / "textures").mkdir()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "textures/red.png")
    mesh = load_mesh(write_glb(tmp_path / "a.glb", tree, binary))
    assert mesh.is_colored
    uncolored = load_mesh(write_glb(tmp_path / "b.glb", *gltf()))
    assert not uncolored.is_colored
    assert uncolored.textures == ()


def test_gltf_factors_are_linear_light(tmp_path: Path) -> None:
    tree, binary = gltf()
    dark = float(srgb_to_linear(np.array(0.1)))
    tree["materials"] = [{"name": "dark", "pbrMetallicRoughness": {"baseColorFactor": [dark, 0.5, 1.0, 1.0]}}]
    tree["meshes"][0]["primitives"][0]["material"] = 0
    mesh = load_mesh(write_glb(tmp_path / "a.glb", tree, binary))
    color = surface_color(mesh, *(np.zeros(1, kind) for kind in ("i4", "f4", "f4")))[0]
    # 0.5 in linear light is 188 of 255 in sRGB.
    np.testing.assert_allclose(color[:3], [0.1, 188 / 255, 1.0], atol=2e-3)
    assert abs(color[0] - 0.1) < 1e-6  # finer than trimesh's 8 bits


def test_srgb_and_linear_light_are_inverse() -> None:
    values = np.linspace(0, 1, 257)
    np.testing.assert_allclose(srgb_to_linear(linear_to_srgb(values)), values, atol=1e-12)


def test_the_scene_graph_places_the_parts(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    for place in (0.0, 9.0):
        scene.add_geometry(
            trimesh.creation.box((1, 1, 1)),
            transform=trimesh.transformations.translation_matrix([place, 0, 0]),
        )
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb")
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [0.1, 1.0, 0.1], atol=1e-6)
