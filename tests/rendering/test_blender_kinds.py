"""Cycles and Embree see the same of every kind of file: mask, depth and mean colour.

Needs an environment with bpy (`make blender`); the field cases need `../shared` too.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from placid_kedro.cameras import orbit
from placid_kedro.rendering import embree, load_mesh, render_mesh
from placid_kedro.rendering.blender import BlenderRenderer, BlenderSettings
from placid_kedro.rendering.surfaces import srgb_to_linear

REPOSITORY = Path(__file__).parents[2]
COMMAND = os.environ.get("PLACID_BLENDER", str(REPOSITORY / ".venv-blender/bin/python"))
CASES = REPOSITORY.parent / "shared/data/field-cases"
# What Blender's importers read otherwise than the formats say, or not at all.
NOT_IN_BLENDER = {
    "obj_texture_case_differs": "its importer looks for names as they are written",
    "obj_texture_missing": "refused here",
    "obj_texture_missing_black_kd": "refused here",
    "obj_missing_mtl": "the grey of what has no colour is another",
    "obj_map_d": "its importer reads the alpha channel only, and this map is grey",
    "ktx2_required": "refused here",
    "meshopt_required": "refused here",
    "texture_and_fallback": "its importer no longer knows KHR_materials_pbrSpecularGlossiness",
}
# Kd alone is what a screen shows here, as in Sweet Home 3D, and linear light in Blender, which ignores Tr.
SHAPE_ONLY = {"obj_concave_ngon", "obj_tr_transparency"}
# Colours in linear light; Cycles adds the mirror image of a white world, 0.04 and more at a slant.
TOLERANCE = 0.06


@pytest.fixture(scope="module")
def blender() -> Iterator[BlenderRenderer]:
    if not Path(COMMAND).exists():
        pytest.skip(f"{COMMAND} is not there; `make blender` makes it")
    renderer = BlenderRenderer(BlenderSettings(COMMAND, samples=16, denoise=False, device="CPU"))
    yield renderer
    renderer.close()


def field_cases() -> list[Path]:
    formats = (".glb", ".gltf", ".obj")
    files = [path for path in sorted(CASES.rglob("*")) if path.suffix.lower() in formats]
    skipped = {"folder_names", "sub"} | NOT_IN_BLENDER.keys()
    return [path for path in files if path.parent.name not in skipped and path.stem not in skipped]


def compare(blender: BlenderRenderer, path: Path, monkeypatch: pytest.MonkeyPatch, has_color: bool) -> None:
    """Under even light, where a matt surface looks as its colour says."""
    for name, value in (("AMBIENT", 1.0), ("FROM_ABOVE", 0.0), ("FROM_THE_EYE", 0.0)):
        monkeypatch.setattr(embree, name, value)
    cameras = orbit([20.0, 200.0], [25.0, -15.0], 2.0, 250.0, 160)
    mesh = load_mesh(path)
    cycles, ours = blender.render(path, mesh, cameras), render_mesh(mesh, cameras, supersample=4)
    first, second = cycles.rgba[..., 3] > 127, ours.rgba[..., 3] > 127
    both = first & second
    assert both.sum() / (first | second).sum() > 0.95
    assert np.median(np.abs(cycles.depth - ours.depth)[both]) < 1e-3
    if has_color:
        means = [srgb_to_linear(one.rgba[both][:, :3] / 255.0).mean(axis=0) for one in (cycles, ours)]
        np.testing.assert_allclose(means[1], means[0], atol=TOLERANCE)


@pytest.mark.parametrize("path", field_cases(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_field_cases(blender: BlenderRenderer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(blender, path, monkeypatch, has_color=path.parent.name not in SHAPE_ONLY)


BOX = trimesh.creation.box((1.0, 0.7, 0.5))
UV = np.abs(BOX.vertices[:, :2] / (1.0, 0.7) + BOX.vertices[:, 2:] * (0.3, 0.1) + 0.5).astype("<f4")
HALVES = np.zeros((8, 8, 3), np.uint8)
HALVES[:4], HALVES[4:, :5], HALVES[4:, 5:] = (220, 40, 30), (30, 200, 60), (240, 240, 200)


def textured(file: Any, texture: dict[str, Any] | None = None, **material: Any) -> None:
    file.attribute("TEXCOORD_0", UV)
    reference = {"index": file.texture(HALVES)} | (texture or {})
    file.material(
        pbrMetallicRoughness={"baseColorTexture": reference, "metallicFactor": 0, "roughnessFactor": 1},
        **material,
    )


def turned_texture(file: Any) -> None:
    transform = {"offset": [0.2, 0.1], "rotation": 0.7, "scale": [1.5, 0.8]}
    textured(file, {"extensions": {"KHR_texture_transform": transform}})


def mirrored_node(file: Any) -> None:
    textured(file)
    file.tree["nodes"] = [{"scale": [-1, 1, 2], "rotation": [0, 0.6, 0, 0.8], "children": [1]}, {"mesh": 0}]


def unlit(file: Any) -> None:
    textured(file, extensions={"KHR_materials_unlit": {}})


def shining(file: Any) -> None:
    textured(file, emissiveFactor=[0.1, 0.2, 0.4])


def factor_and_vertex_colors(file: Any) -> None:
    textured(file)
    file.tree["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [0.6, 0.9, 0.3, 1]
    colors = np.clip(BOX.vertices + 0.5, 0, 1).astype("<f4")
    file.attribute("COLOR_0", colors)


def morphed(file: Any) -> None:
    textured(file)
    bulge = (BOX.vertices * [0.5, -0.3, 1.5]).astype("<f4")
    file.primitive["targets"] = [{"POSITION": file.accessor(bulge)}]
    file.tree["meshes"][0]["weights"] = [0.7]


def bent(file: Any) -> None:
    textured(file)
    weight = np.clip(BOX.vertices[:, 0] + 0.5, 0, 1)
    weights = np.stack([1 - weight, weight, 0 * weight, 0 * weight], axis=1).astype("<f4")
    file.attribute("JOINTS_0", np.tile(np.array([[0, 1, 0, 0]], "<u1"), (len(weights), 1)))
    file.attribute("WEIGHTS_0", weights)
    file.tree["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [3, 3, 3]},
        {"children": [2]},
        {"translation": [0.2, 0.3, 0], "rotation": [0, 0, 0.383, 0.924]},
    ]
    file.tree["scenes"] = [{"nodes": [0, 1]}]
    file.add("skins", {"joints": [1, 2]})


@pytest.mark.parametrize(
    "change", [turned_texture, mirrored_node, unlit, shining, factor_and_vertex_colors, morphed, bent]
)
def test_made_files(
    blender: BlenderRenderer,
    tmp_path: Path,
    new_gltf: Any,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], None],
) -> None:
    file = new_gltf(BOX.vertices.astype("<f4"), tuple(BOX.faces.reshape(-1)))
    change(file)
    compare(blender, file.write(tmp_path), monkeypatch, has_color=True)


@pytest.mark.parametrize(
    "materials",
    [
        "Kd 0.64 0.64 0.64\nmap_Kd t.png\n",
        "Kd 0 0 0\nmap_Kd t.png\n",
        "Kd 1 1 1\nmap_Kd -s 2 0.5 1 -o 0.3 0.1 0 t.png\n",
        "Kd 0 0 0\nmap_Ke t.png\nKe 1 1 1\n",
    ],
    ids=["grey factor", "black factor", "placed", "shining"],
)
def test_made_obj_files(
    blender: BlenderRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, materials: str
) -> None:
    lines = ["mtllib a.mtl", "usemtl a"]
    lines += [f"v {x} {y} {z}" for x, y, z in BOX.vertices] + [f"vt {u} {v}" for u, v in UV]
    lines += ["f " + " ".join(f"{corner + 1}/{corner + 1}" for corner in face) for face in BOX.faces]
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    (tmp_path / "a.mtl").write_text("newmtl a\n" + materials)
    Image.fromarray(HALVES.repeat(32, 0).repeat(32, 1)).save(tmp_path / "t.png")
    compare(blender, tmp_path / "a.obj", monkeypatch, has_color=True)
