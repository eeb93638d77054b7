"""Cycles and Embree see the same: silhouettes and depth of a real object.

Needs an environment with bpy (`make blender`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from placid_kedro.cameras import orbit
from placid_kedro.errors import ResourceError
from placid_kedro.rendering import load_mesh, render_mesh
from placid_kedro.rendering.blender import BlenderRenderer, BlenderSettings

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


def test_both_renderers_see_the_same_object(blender: BlenderRenderer) -> None:
    if not OBJECT.is_file():
        pytest.skip(f"{OBJECT} is not there")
    cameras = orbit([0.0, 70.0, 200.0], [30.0, -5.0, 20.0], 1.5, 280.0, 256)
    mesh = load_mesh(OBJECT)
    cycles, embree = blender.render(OBJECT, mesh, cameras), render_mesh(mesh, cameras)
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


def test_no_blender() -> None:
    renderer = BlenderRenderer(BlenderSettings("no-such-blender", 1, False, "CPU"))
    with pytest.raises(ResourceError, match="make blender"):
        renderer.render(Path("a.glb"), None, orbit(0.0, 0.0, 1.5, 20.0, 16))  # type: ignore[arg-type]
