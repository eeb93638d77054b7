"""`prepare` through a session: from a folder of meshes to a training set."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from placid_kedro.errors import DataError, ModelError, ParameterError, ResourceError
from placid_kedro.files import file_hash
from placid_kedro.objects.dataset import RenderedObjects

SHARED_OBJAVERSE = Path(__file__).parents[3] / "shared/data/objaverse"
SMALL = {"protocol": {"size": 48}, "limits": {"seconds": 300.0, "faces": 200000}}


def run(create: Callable[..., KedroSession], name: str = "prepare", **parameters: Any) -> None:
    with create(**parameters) as kedro_session:
        kedro_session.run(pipeline_names=[name])


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """Three objects that render; one is grey all over, one's name is a stop word; and one that is broken."""
    folder = tmp_path / "meshes"
    folder.mkdir()
    for name in ("ball", "broken-vase", "grey"):
        ball = trimesh.creation.icosphere(subdivisions=2)
        if name != "grey":
            top = ball.vertices[:, 1:2] > 0
            ball.visual.vertex_colors = np.where(top, (200, 40, 40, 255), (40, 40, 200, 255)).astype(np.uint8)
        ball.export(folder / f"{name}.glb")
    (folder / "half.glb").write_bytes((folder / "ball.glb").read_bytes()[:500])
    return folder


def test_prepare_is_its_stages() -> None:
    stages = ("objaverse_ingest", "syncdreamer_render", "filter")
    names = {node.name for stage in stages for node in pipelines[stage].nodes}
    assert {node.name for node in pipelines["prepare"].nodes} >= names


def test_from_meshes_to_a_training_set(
    session: Callable[..., KedroSession], tmp_path: Path, meshes: Path
) -> None:
    run(session)
    root = tmp_path / "data/test"
    objects = RenderedObjects.open(root / "05_model_input/training_set")
    assert objects.uids == ("ball",)
    assert objects[0].rgba.shape == (10, 4, 32, 32)
    assert objects[0].mask.mean() > 0.1
    figure = json.loads((root / "08_reporting/prepare/objects_by_reason.json").read_text())
    assert dict(zip(figure["data"][0]["y"], figure["data"][0]["x"], strict=True)) == {
        "accepted": 1,
        "no_color": 1,
        "stop_word": 1,
        "truncated": 1,
    }
    manifest = json.loads((root / "05_model_input/training_set/manifest.json").read_text())
    assert manifest["files"]["objects.parquet"]["sha256"] == file_hash(
        root / "05_model_input/training_set/objects.parquet"
    )
    # The filter alone, with another rule, on what is rendered.
    run(session, "filter", filter={"renders": {"require_color": False, "color_deviation": 0.0}})
    assert RenderedObjects.open(root / "05_model_input/training_set").uids == ("ball", "grey")


def test_the_shared_objaverse_cache(session: Callable[..., KedroSession], tmp_path: Path) -> None:
    if not SHARED_OBJAVERSE.is_dir():
        pytest.skip(f"{SHARED_OBJAVERSE} is not there")
    run(
        session,
        objaverse_ingest={"sources": "objaverse", "objaverse": {"cache": str(SHARED_OBJAVERSE)}},
        syncdreamer_render=SMALL,
    )
    objects = RenderedObjects.open(tmp_path / "data/test/05_model_input/training_set")
    assert len(objects) == 5  # two of the seven say nothing of colours
    assert all(objects[index].mask.amax() == 1 for index in range(5))


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        (
            {"objaverse_ingest": {"sources": "shapenet"}},
            ParameterError,
            "'objaverse_ingest.sources' is 'shapenet'",
        ),
        (
            {"objaverse_ingest": {"sources": "sweethome3d", "sweethome3d": {"folder": "none"}}},
            DataError,
            "sweethome3d",
        ),
        ({"objaverse_ingest": {"folder": {"folder": "none"}}}, DataError, "does not exist"),
        ({"syncdreamer_render": {"renderer": "blender"}}, ResourceError, "make blender"),
        ({"filter": {"score": {"enabled": True, "scorer": "./none"}}}, ModelError, "filter.score.scorer"),
        ({"syncdreamer_render": {"protocol": {"size": 0}}}, ParameterError, "size' is 0"),
    ],
)
def test_bad_input_is_one_sentence(
    session: Callable[..., KedroSession],
    meshes: Path,
    parameters: dict[str, Any],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as raised:
        run(session, **parameters)
    assert "\n" not in str(raised.value)
