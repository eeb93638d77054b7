"""Cycles and Embree see the same: silhouettes and depth of a real object.

Needs an environment with bpy (`make blender`).
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh

from placid_kedro.cameras import orbit
from placid_kedro.errors import ResourceError
from placid_kedro.rendering import load_mesh, render_mesh
from placid_kedro.rendering.blender import BlenderRenderer, BlenderSettings, blender_version

REPOSITORY = Path(__file__).parents[2]
COMMAND = os.environ.get("PLACID_BLENDER", str(REPOSITORY / ".venv-blender/bin/python"))
OBJECT = (
    REPOSITORY.parent
    / "shared/data/objaverse/hf-objaverse-v1/glbs/000-000/2968ed36911043359cc110067ab8b725.glb"
)
VIEWS = 3


@pytest.fixture(scope="module")
def blender() -> Iterator[BlenderRenderer]:
    if not Path(COMMAND).exists():
        pytest.skip(f"{COMMAND} is not there; `make blender` makes it")
    renderer = BlenderRenderer(BlenderSettings(COMMAND, samples=8, denoise=False, device="CPU"))
    yield renderer
    renderer.close()


def made_object(folder: Path) -> Path:
    """Boxes and a ball that look different from every side, with a colour each, placed by a scene graph."""
    scene = trimesh.Scene()
    parts = [
        (trimesh.creation.box((1.0, 0.2, 0.6)), (0.0, 0.0, 0.0), (200, 40, 40, 255)),
        (trimesh.creation.box((0.2, 0.9, 0.2)), (0.35, 0.5, -0.15), (40, 160, 60, 255)),
        (trimesh.creation.icosphere(subdivisions=3, radius=0.2), (-0.25, 0.3, 0.1), (50, 70, 210, 255)),
    ]
    for mesh, place, color in parts:
        material = trimesh.visual.material.PBRMaterial(baseColorFactor=np.array(color, np.uint8))
        mesh.visual = trimesh.visual.TextureVisuals(material=material)
        scene.add_geometry(mesh, transform=trimesh.transformations.translation_matrix(place))
    scene.export(folder / "made.glb")
    return folder / "made.glb"


@pytest.mark.parametrize("is_real", [True, False], ids=["real", "made"])
def test_both_renderers_see_the_same_object(blender: BlenderRenderer, tmp_path: Path, is_real: bool) -> None:
    if is_real and not OBJECT.is_file():
        pytest.skip(f"{OBJECT} is not there")
    path = OBJECT if is_real else made_object(tmp_path)
    cameras = orbit([0.0, 70.0, 200.0], [30.0, -5.0, 20.0], 1.5, 280.0, 256)
    mesh = load_mesh(path)
    cycles, embree = blender.render(path, mesh, cameras), render_mesh(mesh, cameras)
    for view in range(VIEWS):
        first, second = cycles.rgba[view, ..., 3] > 127, embree.rgba[view, ..., 3] > 127
        both = first & second
        assert both.sum() / (first | second).sum() > 0.98
        assert np.median(np.abs(cycles.depth[view] - embree.depth[view])[both]) < 1e-3
        # The same side is up and in front: colours agree in the mean, whatever the light.
        colors = [render.rgba[view][both][:, :3].astype(float).mean(axis=0) for render in (cycles, embree)]
        assert np.corrcoef(*colors)[0, 1] > 0.95


def test_a_file_that_blender_cannot_import(blender: BlenderRenderer, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_text("no mesh")
    cameras = orbit(0.0, 0.0, 1.5, 20.0, 16)
    with pytest.raises(ResourceError, match=r"a\.glb"):
        blender.render(tmp_path / "a.glb", None, cameras)  # type: ignore[arg-type]


def test_blender_tells_its_version(blender: BlenderRenderer) -> None:
    assert re.match(r"\d+\.\d+\.\d+", blender_version(COMMAND))


def test_what_is_no_blender_tells_no_version(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="make blender"):
        blender_version(str(tmp_path / "none"))
    with pytest.raises(ResourceError, match="No module named 'bpy'"):
        blender_version(sys.executable)
    program = tmp_path / "blender-9"
    program.write_text("#!/bin/sh\necho 'found bundled python'\necho 'Blender 9.1.2 LTS'\n")
    program.chmod(0o755)
    assert blender_version(str(program)) == "9.1.2 LTS"


def test_no_blender() -> None:
    renderer = BlenderRenderer(BlenderSettings("no-such-blender", 1, False, "CPU"))
    with pytest.raises(ResourceError, match="make blender"):
        renderer.render(Path("a.glb"), None, orbit(0.0, 0.0, 1.5, 20.0, 16))  # type: ignore[arg-type]
