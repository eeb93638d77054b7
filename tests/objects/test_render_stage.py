"""Rendering many objects: isolation, records, resumption, and the same result every time."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trimesh
from pydantic import ValidationError

from placid_kedro.errors import ResourceError
from placid_kedro.files import file_hash
from placid_kedro.objects import cluster, render_stage, tasks
from placid_kedro.objects.cluster import dask_client
from placid_kedro.objects.config import DeformationParameters, IngestParameters, RenderParameters
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.ingest import ingest
from placid_kedro.objects.isolation import Outcome
from placid_kedro.objects.render_stage import RenderPlan, render_objects, views_name
from placid_kedro.objects.table import accepted, count_by_reason
from placid_kedro.objects.views import read_views
from placid_kedro.rejections import Reason
from placid_kedro.rendering import ProportionRange, deformed, load_mesh, render_mesh

DEFORMATION = DeformationParameters(stretch=0.4, taper=0.3, turn_deg=20.0)


@pytest.fixture
def table(meshes: Path, ingest_parameters: IngestParameters) -> pd.DataFrame:
    """Two good objects and four bad ones."""
    ball = (meshes / "ball.glb").read_bytes()
    (meshes / "cut.glb").write_bytes(ball[: len(ball) // 2])
    (meshes / "empty.glb").touch()
    (meshes / "text.glb").write_text("this is no mesh")
    trimesh.creation.icosphere(subdivisions=6).export(meshes / "million.glb")
    return ingest(ingest_parameters, seed=0)


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on there must be nothing to render."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("a finished object was rendered again")

    monkeypatch.setattr(render_stage, "dask_client", refuse)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_hash(path) for path in folder.rglob("*") if path.is_file()
    }


def test_good_and_bad_objects(
    table: pd.DataFrame,
    render_parameters: RenderParameters,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plan = RenderPlan(render_parameters, seed=0)
    result = render_objects(table, plan)
    assert dict(zip(result["uid"], result["reason"], strict=True)) == {
        "ball": "",
        "cut": Reason.TRUNCATED,
        "empty": Reason.TRUNCATED,
        "million": Reason.TOO_MANY_FACES,
        "text": Reason.UNREADABLE,
        "tower": "",
    }
    assert count_by_reason(result)["accepted"] == 2
    assert result["detail"].str.contains("\n").sum() == 0
    good = accepted(result).set_index("uid")
    assert good.loc["ball", "faces"] == 320
    assert good.loc["tower", "views_sha256"] == file_hash(plan.views_path("tower"))
    ball = RenderedObjects(result, plan.folder)[0]
    assert ball.rgba.shape == (6, 4, 32, 32)
    # The nearest point of the ball is half a cube in front of its centre.
    assert ball.depth[ball.depth > 0].min() == pytest.approx(1.0, abs=0.02)
    # The second run finds everything done, failures included, and tells the same.
    monkeypatch.setattr(render_stage, "dask_client", None)
    pd.testing.assert_frame_equal(render_objects(table, plan), result)
    monkeypatch.undo()
    # Elsewhere and from nothing: the same bytes, records included.
    elsewhere = render_parameters.model_copy(update={"folder": str(tmp_path / "second")})
    render_objects(table, RenderPlan(elsewhere, seed=0))
    assert hashes(plan.folder) == hashes(tmp_path / "second")
    assert len(hashes(plan.folder)) == 8


@pytest.fixture
def plan(render_parameters: RenderParameters) -> RenderPlan:
    return RenderPlan(render_parameters, seed=0)


def done(plan: RenderPlan, outcome: Outcome) -> bool:
    """Record an outcome and ask whether the object is done."""
    plan.record(plan.job("a", "a.glb", "0" * 64), outcome)
    return plan.is_done("a", "0" * 64)


def test_an_object_is_done_when_its_record_and_its_views_are_there(plan: RenderPlan) -> None:
    assert not plan.is_done("a", "0" * 64)
    assert not done(plan, Outcome(result={"bytes": 3, "sha256": "x"}))
    plan.views_path("a").write_bytes(b"abc")
    assert plan.is_done("a", "0" * 64)
    assert not plan.is_done("a", "1" * 64)
    plan.views_path("a").write_bytes(b"ab")
    assert not plan.is_done("a", "0" * 64)


def test_a_half_written_record_counts_for_nothing(plan: RenderPlan) -> None:
    assert done(plan, Outcome(reason="no_faces"))
    plan.manifest_path("a").write_text('{"uid": "a", "rec')
    assert not plan.is_done("a", "0" * 64)


def test_failures_are_tried_again_under_other_limits(plan: RenderPlan) -> None:
    assert done(plan, Outcome(reason=Reason.TIMED_OUT.value))
    longer = plan.parameters.limits.model_copy(update={"seconds": 600.0})
    raised = RenderPlan(plan.parameters.model_copy(update={"limits": longer}), plan.seed)
    assert not raised.is_done("a", "0" * 64)
    assert not done(plan, Outcome(reason=Reason.WORKER_DIED.value))


@pytest.mark.parametrize("change", ["seed", "size", "supersample", "renderer", "deformation"])
def test_other_parameters_mean_other_views(
    plan: RenderPlan, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_stage, "blender_version", lambda command: "4.5.15 LTS")
    parameters = plan.parameters
    other = {
        "seed": RenderPlan(parameters, seed=1),
        "size": RenderPlan(
            parameters.model_copy(update={"protocol": parameters.protocol.model_copy(update={"size": 40})}), 0
        ),
        "supersample": RenderPlan(
            parameters.model_copy(update={"embree": parameters.embree.model_copy(update={"supersample": 3})}),
            0,
        ),
        "renderer": RenderPlan(parameters.model_copy(update={"renderer": "blender"}), 0),
        "deformation": RenderPlan(parameters.model_copy(update={"deformation": DEFORMATION}), 0),
    }[change]
    assert other.recipe("0") != plan.recipe("0")


def test_deformed_objects_are_rendered_with_their_own_proportions(meshes: Path, plan: RenderPlan) -> None:
    parameters = plan.parameters.model_copy(update={"deformation": DEFORMATION})
    path, target = meshes / "tower.glb", meshes / "views.zip"
    job = RenderPlan(parameters, seed=3).job("t", str(path), file_hash(path))
    tasks.render(job.arguments | {"target": str(target)})
    views = read_views(target, "t", "", None)
    mesh = deformed(load_mesh(path), ProportionRange(**DEFORMATION.model_dump()).draw("3:t"))
    expected = render_mesh(mesh, views.cameras, parameters.embree.supersample)
    ours = views.rgba.permute(0, 2, 3, 1).numpy()[..., 3]
    assert np.abs(ours - expected.rgba[..., 3] / 255).max() < 0.01
    plain = render_mesh(load_mesh(path), views.cameras, parameters.embree.supersample)
    assert np.abs(ours - plain.rgba[..., 3] / 255).mean() > 0.01


def test_blender_does_not_deform(render_parameters: RenderParameters) -> None:
    given = render_parameters.model_dump() | {"renderer": "blender", "deformation": DEFORMATION.model_dump()}
    with pytest.raises(ValidationError, match="renderer: embree with a deformation"):
        RenderParameters.model_validate(given)


def test_another_blender_means_other_views(plan: RenderPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = []
    for version, command in (("4.5.15 LTS", "blender"), ("4.5.15 LTS", "/opt/blender"), ("5.0.0", "blender")):
        monkeypatch.setattr(render_stage, "blender_version", lambda command, version=version: version)
        blender = plan.parameters.blender.model_copy(update={"command": command})
        parameters = plan.parameters.model_copy(update={"renderer": "blender", "blender": blender})
        recipes.append(RenderPlan(parameters, 0).recipe("0"))
    assert recipes[0] == recipes[1] != recipes[2]


def test_a_record_tells_how_the_views_were_made(plan: RenderPlan) -> None:
    plan.record(plan.job("a", "a.glb", "0" * 64), Outcome(result={"bytes": 3, "sha256": "x"}))
    record = json.loads(plan.manifest_path("a").read_text())
    assert record["input_sha256"] == "0" * 64
    assert record["sha256"] == "x"
    assert record["made_by"]["renderer"] == "embree"
    assert record["made_by"]["renderer_parameters"] == {"supersample": plan.parameters.embree.supersample}
    assert record["made_by"]["protocol"]["size"] == 32
    assert {"embreex", "numpy", "mapbox-earcut", "dracopy", "placid_kedro"} <= set(
        record["made_by"]["versions"]
    )


def test_places_and_workers_do_not_change_the_views(plan: RenderPlan) -> None:
    parameters = plan.parameters.model_copy(update={"folder": "/elsewhere"})
    cluster = parameters.cluster.model_copy(update={"workers": 7})
    assert RenderPlan(parameters.model_copy(update={"cluster": cluster}), 0).recipe("0") == plan.recipe("0")


def test_views_lie_inside_their_folder() -> None:
    assert views_name("abc") == "ba/abc.zip"  # sha256("abc") = ba78...


def test_a_file_that_changed_since_it_was_ingested(meshes: Path, plan: RenderPlan) -> None:
    from placid_kedro.objects.tasks import render
    from placid_kedro.rejections import RejectedAsset

    job = plan.job("ball", str(meshes / "ball.glb"), "0" * 64)
    with pytest.raises(RejectedAsset) as raised:
        render(json.loads(json.dumps(job.arguments)))
    assert raised.value.reason is Reason.CHANGED_FILE
    assert not plan.views_path("ball").exists()


def test_no_scheduler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    with pytest.raises(ResourceError, match="No dask scheduler answers"), dask_client("tcp://127.0.0.1:9", 1):
        pass


def test_a_missing_blender_is_found_before_anything_is_rendered(
    table: pd.DataFrame, render_parameters: RenderParameters, no_cluster: None
) -> None:
    blender = render_parameters.blender.model_copy(update={"command": "no-such-blender"})
    parameters = render_parameters.model_copy(update={"renderer": "blender", "blender": blender})
    with pytest.raises(ResourceError, match="make blender"):
        render_objects(table, RenderPlan(parameters, 0))


_RENDER = """
import sys
import pandas
from placid_kedro.objects.config import RenderParameters
from placid_kedro.objects.render_stage import RenderPlan, render_objects
parameters = RenderParameters.model_validate_json(open(sys.argv[2]).read())
render_objects(pandas.read_parquet(sys.argv[1]), RenderPlan(parameters, seed=0))
"""


def test_a_killed_run_goes_on_where_it_stopped(
    meshes: Path, ingest_parameters: IngestParameters, render_parameters: RenderParameters, tmp_path: Path
) -> None:
    """Another process renders and is killed without warning once its first object is done."""
    for number in range(4):
        (meshes / f"ball-{number}.glb").write_bytes((meshes / "ball.glb").read_bytes())
    slow = {
        "protocol": render_parameters.protocol.model_copy(update={"size": 96}),
        "embree": render_parameters.embree.model_copy(update={"supersample": 6}),
        "limits": render_parameters.limits.model_copy(update={"seconds": 600.0}),
    }
    parameters = render_parameters.model_copy(update=slow)
    plan = RenderPlan(parameters, seed=0)
    table = ingest(ingest_parameters, seed=0)
    table.to_parquet(tmp_path / "objects.parquet")
    (tmp_path / "parameters.json").write_text(parameters.model_dump_json())
    arguments = [str(tmp_path / "objects.parquet"), str(tmp_path / "parameters.json")]
    process = subprocess.Popen([sys.executable, "-c", _RENDER, *arguments])
    deadline = time.monotonic() + 600
    while not (before := sorted(plan.folder.glob("*/*.json"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert len(before) < len(table) == 6
    written = {path: path.stat().st_mtime_ns for path in before}
    result = render_objects(table, plan)
    assert list(result["reason"]) == [""] * 6
    assert {path: path.stat().st_mtime_ns for path in before} == written
    for row in result.itertuples():
        assert file_hash(plan.views_path(row.uid)) == row.views_sha256


def test_jobs_travel_as_json(plan: RenderPlan) -> None:
    job = plan.job("a", "a.glb", "0" * 64)
    assert json.loads(json.dumps(job.arguments)) == job.arguments
