"""The shapes of glTF files, against values worked out by hand from the specification."""

import json
from pathlib import Path
from typing import Any

import DracoPy
import numpy as np
import pytest
import trimesh

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import MeshLimits, load_mesh, load_parts
from tests.rendering.gltf_case import HALF, SQUARE, points, skin


def test_an_accessor_without_data_is_zeros_with_sparse_values(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    view, values = file.view(np.array([1, 2], "<u2").tobytes()), file.view(SQUARE[1:3].tobytes())
    sparse = {
        "count": 2,
        "indices": {"bufferView": view, "componentType": 5123},
        "values": {"bufferView": values},
    }
    file.tree["accessors"][0].pop("bufferView")
    file.tree["accessors"][0]["sparse"] = sparse
    assert points(file.write(tmp_path)).tolist() == [[0, 0, 0], [1, -1, 0], [1, 1, 0], [0, 0, 0]]


def test_sparse_values_replace_some_of_the_data(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    view, values = file.view(b"\3"), file.view(np.array([-5, 5, 2], "<f4").tobytes())
    sparse = {
        "count": 1,
        "indices": {"bufferView": view, "componentType": 5121},
        "values": {"bufferView": values},
    }
    file.tree["accessors"][0]["sparse"] = sparse
    assert points(file.write(tmp_path)).tolist() == [*SQUARE[:3].tolist(), [-5, 5, 2]]


@pytest.mark.parametrize(
    ("kind", "is_normalized", "divisor"),
    [
        ("<i1", True, 127),
        ("<u1", True, 255),
        ("<i2", True, 32767),
        ("<u2", True, 65535),
        ("<i2", False, 1),
        ("<u1", False, 1),
    ],
)
def test_quantized_positions(
    tmp_path: Path, new_gltf: Any, kind: str, is_normalized: bool, divisor: int
) -> None:
    whole = np.array([[0, 10, 20], [100, 7, 3], [9, 120, 50], [1, 2, 127]])
    file = new_gltf()
    # Rows of four bytes or shorts, as the format wants them aligned.
    padded = np.concatenate([whole, np.full((4, 1), 99)], axis=1).astype(kind)
    view = file.view(padded.tobytes(), byteStride=padded.strides[0])
    component = {"<i1": 5120, "<u1": 5121, "<i2": 5122, "<u2": 5123}[kind]
    accessor = {"bufferView": view, "componentType": component, "count": 4, "type": "VEC3"}
    index = file.add("accessors", accessor | {"normalized": is_normalized})
    file.primitive["attributes"]["POSITION"] = index
    file.tree |= {
        "extensionsRequired": ["KHR_mesh_quantization"],
        "extensionsUsed": ["KHR_mesh_quantization"],
    }
    file.tree["nodes"][0] |= {"translation": [1, 2, 3], "scale": [2, 2, 2]}
    np.testing.assert_allclose(points(file.write(tmp_path)), whole / divisor * 2 + [1, 2, 3], rtol=1e-12)


def test_signed_normalized_numbers_end_at_minus_one(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    values = np.array([[-128, -127, 127, 0], [127, 0, 0, 0], [0, 127, 0, 0], [0, 0, 0, 0]], "<i1")
    view = file.view(values.tobytes(), byteStride=4)
    accessor = {"bufferView": view, "componentType": 5120, "count": 4, "type": "VEC3", "normalized": True}
    file.primitive["attributes"]["POSITION"] = file.add("accessors", accessor)
    assert points(file.write(tmp_path))[0].tolist() == [-1, -1, 1]


def test_interleaved_attributes(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    colors = np.array([[10, 20, 30, 255], [40, 50, 60, 255], [70, 80, 90, 255], [1, 2, 3, 255]], np.uint8)
    rows = np.concatenate([SQUARE.view(np.uint8).reshape(4, 12), colors], axis=1)
    view = file.view(rows.tobytes(), byteStride=16)
    attributes = file.primitive["attributes"]
    place = {"bufferView": view, "count": 4, "componentType": 5126, "type": "VEC3"}
    attributes["POSITION"] = file.add("accessors", place)
    place = {"bufferView": view, "count": 4, "byteOffset": 12, "componentType": 5121, "type": "VEC4"}
    attributes["COLOR_0"] = file.add("accessors", place | {"normalized": True})
    (part,) = load_parts(file.write(tmp_path), MeshLimits())
    assert part.vertices.tolist() == SQUARE.tolist()
    np.testing.assert_allclose(part.surface.base.color, colors / 255, atol=1e-7)


@pytest.mark.parametrize("kind", ["<u1", "<u2", "<u4", None])
@pytest.mark.parametrize(
    ("mode", "corners", "faces"),
    [
        (4, (0, 1, 2, 0, 2, 3, 1), [[0, 1, 2], [0, 2, 3]]),
        # Every second triangle of a strip is turned; a fan's come with their own corners first.
        (5, (0, 1, 2, 3, 1), [[0, 1, 2], [1, 3, 2], [2, 3, 1]]),
        (6, (3, 0, 1, 2), [[0, 1, 3], [1, 2, 3]]),
    ],
)
def test_modes_and_kinds_of_indices(
    tmp_path: Path, new_gltf: Any, kind: str | None, mode: int, corners: tuple[int, ...], faces: list
) -> None:
    if kind is None:
        file = new_gltf(SQUARE[list(corners)], None, mode=mode)
    else:
        file = new_gltf(SQUARE, None, mode=mode)
        file.primitive["indices"] = file.accessor(np.array(corners, kind))
    (part,) = load_parts(file.write(tmp_path), MeshLimits())
    assert part.vertices[part.faces].tolist() == SQUARE[np.array(faces)].tolist()


def test_what_is_not_seen_is_not_looked_at(tmp_path: Path, new_gltf: Any) -> None:
    """A program's own attribute of a kind that no mesh has, and too short normals."""
    file = new_gltf()
    file.attribute("NORMAL", SQUARE[:2])
    own = {"bufferView": 0, "componentType": 5126, "count": 1, "type": "MAT3"}
    file.primitive["attributes"]["_OWN"] = file.add("accessors", own)
    assert len(load_mesh(file.write(tmp_path)).faces) == 2


def test_points_and_lines_are_no_surface(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    for mode in range(4):
        file.tree["meshes"][0]["primitives"].append(file.primitive | {"mode": mode})
    file.tree["meshes"][0]["primitives"][1]["attributes"] = {"POSITION": file.accessor(SQUARE * 9)}
    assert len(load_mesh(file.write(tmp_path)).faces) == 2


def test_morph_targets(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    file.attribute("COLOR_0", np.full((4, 3), 0.5, "<f4"))
    up, out, brighter = (np.tile(row, (4, 1)).astype("<f4") for row in ((0, 1, 0), (0, 0, 2), (0.25, 0, 0)))
    file.primitive["targets"] = [
        {"POSITION": file.accessor(up)},
        {"POSITION": file.accessor(out), "COLOR_0": file.accessor(brighter), "NORMAL": file.accessor(out)},
    ]
    assert points(file.write(tmp_path)).tolist() == SQUARE.tolist()
    file.tree["meshes"][0]["weights"] = [0.5, 1]
    (part,) = load_parts(file.write(tmp_path), MeshLimits())
    assert part.vertices.tolist() == (np.add(SQUARE, [0, 0.5, 2])).tolist()
    np.testing.assert_allclose(part.surface.base.color[0], [0.75, 0.5, 0.5, 1])
    # A node's weights take the place of its mesh's.
    file.tree["nodes"][0]["weights"] = [0, 0.25]
    assert points(file.write(tmp_path)).tolist() == (np.add(SQUARE, [0, 0, 0.5])).tolist()


def test_joints_place_a_skinned_mesh_and_its_own_node_does_not(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    skin(file)
    file.attribute("WEIGHTS_0", np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0]], "<f4"))
    # (1, 1) turned is (-1, 1); (-1, 1) is half at (-1, 11) and half at (-1, -1).
    expected = [[-1, 9, 0], [1, 9, 0], [-1, 1, 0], [-1, 5, 0]]
    np.testing.assert_allclose(points(file.write(tmp_path)), expected, atol=1e-6)


def test_inverse_bind_matrices_and_weights_that_do_not_sum_to_one(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    lowered = np.eye(4)
    lowered[1, 3] = -10
    # Columns first.
    matrices = np.stack([lowered.T, np.eye(4)]).astype("<f4").reshape(2, 16)
    skin(file, inverseBindMatrices=file.accessor(matrices))
    weights = np.array([[2, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 0], [0.1, 0, 0, 0]])
    file.attribute("WEIGHTS_0", weights.astype("<f4"))
    np.testing.assert_allclose(points(file.write(tmp_path)), SQUARE, atol=1e-6)


def test_more_than_four_joints(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    skin(file)
    file.attribute("WEIGHTS_0", np.array([[64, 0, 0, 0]] * 4, "<u1"), normalized=True)
    file.attribute("JOINTS_1", np.array([[1, 0, 0, 0]] * 4, "<u2"))
    file.attribute("WEIGHTS_1", np.array([[191, 0, 0, 0]] * 4, "<u1"), normalized=True)
    first, second = np.add(SQUARE, [0, 10, 0]), np.stack([-SQUARE[:, 1], SQUARE[:, 0], SQUARE[:, 2]], axis=1)
    expected = (64 * first + 191 * second) / 255
    np.testing.assert_allclose(points(file.write(tmp_path)), expected, atol=1e-5)


def test_instances(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    attributes = {
        "TRANSLATION": file.accessor(np.array([[5, 0, 0], [0, 0, 0]], "<f4")),
        "ROTATION": file.accessor(np.array([[0, 0, 0, 1], [0, 0, HALF, HALF]], "<f4")),
        "SCALE": file.accessor(np.array([[1, 1, 1], [2, 1, 1]], "<f4")),
    }
    name = "EXT_mesh_gpu_instancing"
    file.tree["nodes"][0] |= {"scale": [1, 3, 1], "extensions": {name: {"attributes": attributes}}}
    file.tree |= {"extensionsRequired": [name], "extensionsUsed": [name]}
    turned = np.stack([-SQUARE[:, 1], 2 * SQUARE[:, 0], SQUARE[:, 2]], axis=1)
    expected = np.concatenate([np.add(SQUARE, [5, 0, 0]), turned]) * [1, 3, 1]
    path = file.write(tmp_path)
    np.testing.assert_allclose(points(path), expected, atol=1e-6)
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(path, MeshLimits(max_faces=3))
    assert raised.value.reason is Reason.TOO_MANY_FACES


def test_nodes_place_their_meshes(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    matrix = [0, 2, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 7, 8, 9, 1]  # columns first: x to 2 y, y to -x, moved
    file.tree["nodes"] = [
        {"scale": [-1, 1, 1], "children": [1]},  # mirrored
        {"matrix": matrix, "mesh": 0},
        {"mesh": 0, "extensions": {"KHR_node_visibility": {"visible": False}}},
        {"mesh": 0, "translation": [50, 0, 0]},
    ]
    # Node 3 belongs to another scene.
    file.tree |= {"scenes": [{"nodes": [3]}, {"nodes": [0, 2]}], "scene": 1}
    expected = np.stack([SQUARE[:, 1] - 7, 2 * SQUARE[:, 0] + 8, SQUARE[:, 2] + 9], axis=1)
    np.testing.assert_allclose(points(file.write(tmp_path)), expected, atol=1e-6)


def test_a_file_without_scenes_shows_all_that_has_no_parent(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    file.tree.pop("scene"), file.tree.pop("scenes")
    file.tree["nodes"] = [{"mesh": 0, "translation": [0, 0, 4]}, {"children": [0], "scale": [1, 1, 2]}]
    assert points(file.write(tmp_path)).tolist() == (np.add(SQUARE, [0, 0, 8])).tolist()


@pytest.mark.parametrize(
    "nodes", [[{"children": [0]}], [{"children": [1]}, {"children": [1]}], [{"children": [7]}]]
)
def test_a_scene_graph_that_is_no_tree(tmp_path: Path, new_gltf: Any, nodes: list) -> None:
    file = new_gltf()
    file.tree["nodes"] = nodes
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(file.write(tmp_path))
    assert raised.value.reason is Reason.UNREADABLE


def test_draco(tmp_path: Path, new_gltf: Any) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    colors = np.tile(np.array([255, 0, 0], np.uint8), (len(ball.vertices), 1))
    data = DracoPy.encode(ball.vertices.astype(np.float32), ball.faces, quantization_bits=16, colors=colors)
    ids = {
        attribute["attribute_type"]: attribute["unique_id"] for attribute in DracoPy.decode(data).attributes
    }
    name = "KHR_draco_mesh_compression"
    file = new_gltf(faces=None)
    count = {"count": len(ball.vertices)}
    accessors = [
        count | {"componentType": 5126, "type": "VEC3"},
        count | {"componentType": 5121, "type": "VEC3", "normalized": True},
        {"count": 3 * len(ball.faces), "componentType": 5125, "type": "SCALAR"},
    ]
    position, color, indices = (file.add("accessors", accessor) for accessor in accessors)
    file.primitive |= {"attributes": {"POSITION": position, "COLOR_0": color}, "indices": indices}
    file.primitive["extensions"] = {
        name: {"bufferView": file.view(data), "attributes": {"POSITION": ids[0], "COLOR_0": ids[2]}}
    }
    file.tree |= {"extensionsRequired": [name], "extensionsUsed": [name]}
    (part,) = load_parts(file.write(tmp_path), MeshLimits())
    assert len(part.faces) == len(ball.faces)
    np.testing.assert_allclose(np.linalg.norm(part.vertices, axis=1), 1, atol=1e-4)
    area = trimesh.Trimesh(part.vertices, part.faces).area
    assert area == pytest.approx(ball.area, rel=1e-3)
    assert part.surface.base.color[0].tolist() == [1, 0, 0, 1]
    with pytest.raises(RejectedAsset) as raised:
        file.tree["accessors"][indices]["count"] = 3  # more faces than are announced
        load_mesh(file.write(tmp_path), MeshLimits(max_faces=300))
    assert raised.value.reason is Reason.TOO_MANY_FACES
    # Damaged data is refused, not drawn.
    file.binary[file.tree["bufferViews"][-1]["byteOffset"] :] = bytes(len(data))
    with pytest.raises(RejectedAsset, match=name):
        load_mesh(file.write(tmp_path))


@pytest.mark.parametrize(
    ("extension", "advice"),
    [
        ("EXT_meshopt_compression", "gltf-transform copy"),
        ("KHR_texture_basisu", "gltf-transform ktxdecompress"),
        ("VENDOR_new_kind_of_mesh", "gltf-transform or Blender"),
    ],
)
def test_what_a_file_needs_and_is_not_read_is_named(
    tmp_path: Path, new_gltf: Any, extension: str, advice: str
) -> None:
    file = new_gltf()
    file.tree["extensionsRequired"] = [extension]
    with pytest.raises(RejectedAsset, match=rf"{extension}.*{advice}") as raised:
        load_mesh(file.write(tmp_path))
    assert raised.value.reason is Reason.UNKNOWN_FORMAT


def test_what_only_shades_otherwise_may_be_required(tmp_path: Path, new_gltf: Any) -> None:
    file = new_gltf()
    file.tree["extensionsRequired"] = ["KHR_materials_clearcoat", "KHR_lights_punctual"]
    assert len(load_mesh(file.write(tmp_path)).faces) == 2


def test_data_that_stands_in_for_compressed_data_is_not_drawn(tmp_path: Path, new_gltf: Any) -> None:
    """Not required, but without the extension there is nothing: the buffer has no bytes."""
    file = new_gltf()
    path = file.write(tmp_path)
    file.tree["buffers"].append(
        {"byteLength": 48, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}
    )
    file.tree["bufferViews"][0] = {
        "buffer": 1, "byteLength": 48, "extensions": {"EXT_meshopt_compression": {"buffer": 0}},
    }  # fmt: skip
    buffers = file.tree["buffers"]
    text = json.dumps(file.tree | {"buffers": buffers})
    (tmp_path / "b.gltf").write_text(text)
    with pytest.raises(RejectedAsset, match="EXT_meshopt_compression"):
        load_mesh(tmp_path / "b.gltf")
    assert len(load_mesh(path).faces) == 2
