"""What is handed to the renderer: files that Blender's importers would draw otherwise go to it as GLB files."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from placid_kedro.cameras import Cameras
from placid_kedro.files import file_hash
from placid_kedro.objects import tasks
from placid_kedro.objects.config import RenderParameters
from placid_kedro.objects.views import read_views
from placid_kedro.rendering import Mesh, Render, load_mesh, render_mesh

COMMAND = os.environ.get("PLACID_BLENDER", str(Path(__file__).parents[2] / ".venv-blender/bin/python"))
SQUARE = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 4/4\n"


def obj(folder: Path) -> Path:
    """A square that is half red, half blue, and lets a fifth of the light through, in words that Blender misses."""
    Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8).repeat(64, 0).repeat(32, 1)).save(
        folder / "Tex.png"
    )
    (folder / "a.mtl").write_text("newmtl m\nKd 0.1 0.1 0.1\nTr 0.2\nmap_Kd TEX.PNG\n")
    (folder / "a.obj").write_text("mtllib a.mtl\nusemtl m\n" + SQUARE)
    return folder / "a.obj"


def gltf(folder: Path, extension: str) -> Path:
    positions = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0]], "<f4").tobytes()
    material = {"extensions": {extension: {"diffuseFactor": [0, 1, 0, 1]}}}
    tree = {
        "asset": {"version": "2.0"},
        "extensionsUsed": [extension],
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
        "materials": [material],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36, "uri": "a.bin"}],
    }
    (folder / "a.bin").write_bytes(positions)
    (folder / "a.gltf").write_text(json.dumps(tree))
    return folder / "a.gltf"


@dataclass
class Reader:
    """Stands in for Blender, and reads GLB files as this project does."""

    files: list[str] = field(default_factory=list)

    def render(self, path: Path, mesh: Mesh, cameras: Cameras) -> Render:
        self.files.append(path.name)
        return render_mesh(load_mesh(path), cameras)


def run(path: Path, parameters: RenderParameters, target: Path) -> np.ndarray:
    """RGBA in [0, 1] of the views of the task, [V, 4, H, W]."""
    arguments: dict[str, Any] = {
        "uid": "a", "path": str(path), "sha256": file_hash(path), "seed": 0, "target": str(target),
        "parameters": parameters.model_dump(mode="json"),
    }  # fmt: skip
    assert tasks.render(arguments)["sha256"] == file_hash(target)
    return read_views(target, "a", "").rgba.numpy()


@pytest.mark.parametrize(
    ("make", "handed"),
    [
        (obj, "object.glb"),
        (lambda folder: gltf(folder, "KHR_materials_pbrSpecularGlossiness"), "object.glb"),
        (lambda folder: gltf(folder, "KHR_materials_sheen"), "a.gltf"),
    ],
    ids=["obj", "spec-gloss", "gltf"],
)
def test_what_blender_gets(
    tmp_path: Path,
    render_parameters: RenderParameters,
    monkeypatch: pytest.MonkeyPatch,
    make: Any,
    handed: str,
) -> None:
    path = make(tmp_path)
    ours = run(path, render_parameters, tmp_path / "ours.zip")
    reader = Reader()
    monkeypatch.setattr(tasks, "make_renderer", lambda parameters: reader)
    blender = run(path, render_parameters.model_copy(update={"renderer": "blender"}), tmp_path / "b.zip")
    assert reader.files == [handed]
    assert np.abs(ours - blender).max() < 1.5 / 255


def test_blender_shows_what_an_obj_file_says(tmp_path: Path, render_parameters: RenderParameters) -> None:
    if not Path(COMMAND).exists():
        pytest.skip(f"{COMMAND} is not there; `make blender` makes it")
    settings = render_parameters.blender.model_copy(update={"command": COMMAND})
    parameters = render_parameters.model_copy(update={"renderer": "blender", "blender": settings})
    path = obj(tmp_path)
    ours = run(path, render_parameters, tmp_path / "ours.zip")
    theirs = run(path, parameters, tmp_path / "b.zip")
    tasks.make_renderer.cache_clear()
    inside = (ours[:, 3] > 0.75) & (theirs[:, 3] > 0.75)
    assert inside.any()
    # A fifth of the light goes through, in both.
    for views in (ours, theirs):
        assert np.median(views[:, 3][inside]) == pytest.approx(0.8, abs=0.02)
    assert ((ours[:, 0] > 0.4) == (theirs[:, 0] > 0.4))[inside].mean() > 0.97
    assert ((ours[:, 2] > 0.4) == (theirs[:, 2] > 0.4))[inside].mean() > 0.97
