"""The stage `latent_plane_train` on a small set: what it makes, going on after an interruption, two processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import trimesh
from kedro.framework.session import KedroSession

from placid_kedro.cameras import orbit
from placid_kedro.datasets import FolderDataset
from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.errors import DataError, ModelError, ParameterError
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.latent_plane.training.batches import PlaneBatches
from placid_kedro.latent_plane.training.report import PlaneTrainingReport
from placid_kedro.objects.table import ObjectRecord
from placid_kedro.objects.training_set import TrainingSet
from placid_kedro.objects.views import write_views
from placid_kedro.rendering import load_mesh, render_mesh

STAGE = "latent_plane_train"
SIZE = 32
NAMES = {"ball": "Ball", "brick": "Brick", "rod": "Rod", "other-ball": "ball "}


def write_training_set(folder: Path) -> None:
    """Four objects, two of which share a name, in eight views of a ring and two others."""
    azimuths = torch.cat([torch.arange(8) * 45.0, torch.tensor([0.0, 180.0])])
    elevations = torch.cat([torch.full((8,), 30.0), torch.tensor([0.0, 35.0])])
    cameras = orbit(azimuths, elevations, 1.5, 280 * SIZE / 256, SIZE)
    shapes = (
        trimesh.creation.icosphere(subdivisions=1),
        trimesh.creation.box((1, 2, 1)),
        trimesh.creation.box((0.3, 0.3, 2)),
        trimesh.creation.icosphere(subdivisions=2),
    )
    rows = []
    for (uid, name), shape in zip(NAMES.items(), shapes, strict=True):
        color = np.array((200, 40, 40 * len(rows), 255), np.uint8)
        shape.visual.vertex_colors = np.tile(color, (len(shape.vertices), 1))
        mesh = folder.parent / f"{uid}.glb"
        shape.export(mesh)
        write_views(folder.parent / "views" / f"{uid}.zip", cameras, render_mesh(load_mesh(mesh), cameras, 1))
        record = ObjectRecord(uid=uid, source="folder", path=str(mesh), name=name, sha256=uid)
        rows.append({**asdict(record), "views": f"{uid}.zip", "views_sha256": uid})
    made = TrainingSet(pd.DataFrame(rows), folder.parent / "views", {"made": "by hand"}, sheet_objects=2)
    FolderDataset(filepath=str(folder)).save(made)


@pytest.fixture
def training_set(tmp_path: Path) -> Path:
    folder = tmp_path / "data/test/05_model_input/training_set"
    (folder.parent / "views").mkdir(parents=True)
    write_training_set(folder)
    return folder


def run(create: Callable[..., KedroSession], model: Path, **parameters: Any) -> None:
    with create(models={"zero123": str(model)}, **{STAGE: parameters}) as kedro_session:
        kedro_session.run(pipeline_names=[STAGE])


def weights(root: Path) -> dict[str, torch.Tensor]:
    plane = load_component(root / "data/test/06_models/latent_plane", "latent_plane")
    state: dict[str, torch.Tensor] = plane.state_dict()
    return state


def test_a_plane_is_made_that_the_model_takes(
    session: Callable[..., KedroSession], tmp_path: Path, training_set: Path, tiny_models: Any
) -> None:
    run(session, tiny_models.zero123)
    folder = tmp_path / "data/test/06_models/latent_plane"
    plane = load_component(folder, "latent_plane")
    model = load_novel_view(tiny_models.zero123, torch.device("cpu"))
    views = sample_views(
        model,
        Subject(
            reference=torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)),
            reference_camera=plane.cameras[0],
        ),
        plane.cameras,
        steps=2,
        guidance_scale=2.0,
        generator=torch.Generator().manual_seed(0),
        plane=plane,
        silhouette=torch.ones(64, 64),
    )
    assert bool(views.images.isfinite().all()) and len(views.images) == 8

    path = tmp_path / "data/test/08_reporting/latent_plane_train/report.json"
    report = PlaneTrainingReport.model_validate_json(path.read_bytes())
    # A third of four, and nobody in the training has the name of one who is measured.
    assert len(report.held_out) == 1
    assert sorted((*report.trained, *report.held_out, *report.withheld)) == sorted(NAMES)
    names = {
        part: {NAMES[uid].strip().lower() for uid in getattr(report, part)}
        for part in ("trained", "held_out")
    }
    assert not names["trained"] & names["held_out"]
    assert set(report.validation) == {
        "silhouette_iou",
        "foreground_depth_pearson",
        "depth_pearson",
        "loss_without_plane",
        "loss_with_plane",
    }
    assert all(np.isfinite(value) for value in report.validation.values())
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "latent_plane/diffusion_pytorch_model.safetensors" in manifest["files"]


@pytest.mark.parametrize("stage", ["density", "features"])
def test_a_run_that_was_killed_goes_on_to_the_same_plane(
    session: Callable[..., KedroSession],
    session_in: Callable[..., KedroSession],
    tmp_path: Path,
    training_set: Path,
    tiny_models: Any,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    run(session, tiny_models.zero123)
    unbroken = weights(tmp_path)
    for path in (tmp_path / "data/test/06_models").rglob("*.pt"):
        path.unlink()

    made: list[int] = []
    original = PlaneBatches.__call__

    def fails(self: PlaneBatches, number: int, generator: torch.Generator) -> Any:
        with_rays = self.shape.rays > 0
        if number == (4 if stage == "density" else 1) and with_rays == (stage == "density"):
            raise RuntimeError("the power is gone")
        return original(self, number, generator)

    def counted(self: PlaneBatches, number: int, generator: torch.Generator) -> Any:
        made.append(number)
        return original(self, number, generator)

    monkeypatch.setattr(PlaneBatches, "__call__", fails)
    with pytest.raises(RuntimeError, match="power"):
        run(session, tiny_models.zero123)
    monkeypatch.setattr(PlaneBatches, "__call__", counted)
    run(session, tiny_models.zero123)
    # Three density steps of two batches, then two feature steps of one; the third, or the last, was cut.
    assert made == ([4, 5, 0, 1] if stage == "density" else [1])
    for name, value in weights(tmp_path).items():
        assert torch.equal(value, unbroken[name]), name


def test_any_conversion_of_zero123(
    session: Callable[..., KedroSession], tmp_path: Path, training_set: Path, zero123_folder: Path
) -> None:
    """Another autoencoder, a CLIP image encoder and a pose projection; four views; mixed parameters."""
    run(
        session,
        zero123_folder,
        views=4,
        plane={"combination": "add"},
        density={"steps": 1},
        features={"steps": 1},
    )
    plane = load_component(tmp_path / "data/test/06_models/latent_plane", "latent_plane")
    assert len(plane.cameras) == 4 and plane.config.combination == "add"


def test_other_data_begin_anew_and_other_settings_are_refused(
    session: Callable[..., KedroSession], tmp_path: Path, training_set: Path, tiny_models: Any
) -> None:
    run(session, tiny_models.zero123)
    checkpoints = tmp_path / "data/test/06_models/latent_plane_train/checkpoints"
    assert len(list(checkpoints.iterdir())) == 1
    with pytest.raises(DataError, match=r"learning_rate 0\.01 instead of 0\.5"):
        run(session, tiny_models.zero123, density={"learning_rate": 0.5})
    run(session, tiny_models.zero123, validation={"share": 0.0})
    assert len(list(checkpoints.iterdir())) == 2
    path = tmp_path / "data/test/08_reporting/latent_plane_train/report.json"
    assert PlaneTrainingReport.model_validate_json(path.read_bytes()).validation == {}


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        ({"views": 5}, ParameterError, "has 8 views, but Latent-Plane takes 5"),
        ({"density": {"batch_size": 0}}, ParameterError, r"latent_plane_train\.density\.batch_size' is 0"),
        ({"precision": "fp16"}, ParameterError, "needs CUDA"),
        ({"plane": {"samples_per_ray": 1}}, ParameterError, r"plane\.samples_per_ray' is 1"),
    ],
)
def test_bad_parameters_are_one_sentence(
    session: Callable[..., KedroSession],
    training_set: Path,
    tiny_models: Any,
    parameters: dict[str, Any],
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as raised:
        run(session, tiny_models.zero123, **parameters)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({STAGE: {"views": 5}}, "give it 5 or a multiple, at one elevation"),
        (
            {"syncdreamer_render": {"protocol": {"rings": [{"views": 8, "elevation_deg": [0.0, 9.0]}]}}},
            r"8 views at elevations \[0\.0, 9\.0\]",
        ),
        ({STAGE: {"precision": "fp16"}}, "needs CUDA"),
    ],
)
def test_what_would_fail_at_the_end_of_prepare_is_told_at_its_start(
    session: Callable[..., KedroSession], tmp_path: Path, parameters: dict[str, Any], said: str
) -> None:
    (tmp_path / "meshes").mkdir()
    trimesh.creation.icosphere(subdivisions=1).export(tmp_path / "meshes/ball.glb")
    with pytest.raises(ParameterError, match=said), session(**parameters) as kedro_session:
        kedro_session.run(pipeline_names=["prepare"])
    assert not list((tmp_path / "data").rglob("*.zip"))


def test_missing_inputs_are_one_sentence(
    session: Callable[..., KedroSession], tmp_path: Path, tiny_models: Any
) -> None:
    with pytest.raises(Exception, match="training_set is missing or half-written"):
        run(session, tiny_models.zero123)
    with pytest.raises(ModelError, match="zero123"):
        run(session, tmp_path / "nothing")


def test_two_processes_make_one_plane(
    project: Path, tmp_path: Path, training_set: Path, tiny_models: Any
) -> None:
    """`accelerate launch` on the CPU: the plane is that of one process with twice the batches a step."""
    for name in ("conf", "src", "pyproject.toml", "models"):
        (tmp_path / name).symlink_to(project / name)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(project / "src"),
    }
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "0", "-m", "placid_kedro.pipelines.latent_plane_train"]
    given = f"models.zero123={tiny_models.zero123}"

    def outcome(command: list[str]) -> dict[str, torch.Tensor]:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return weights(tmp_path)

    together = outcome(
        [*launch, "--env", "test", "--params", f"{given},latent_plane_train.density.accumulate=1"]
    )
    assert len(list((tmp_path / "data/test/06_models").rglob("*.pt"))) == 2
    for path in (tmp_path / "data/test/06_models").rglob("*.pt"):
        path.unlink()
    alone = [sys.executable, "-m", "placid_kedro.pipelines.latent_plane_train", "--env", "test", "--params"]
    expected = outcome([*alone, f"{given},latent_plane_train.features.accumulate=2"])
    # Both stages did something: the feature part begins with zeros there.
    assert expected["feature_transformer.layers.0.to_out.weight"].abs().max() > 5e-3
    for name, value in expected.items():
        torch.testing.assert_close(together[name], value, rtol=2e-3, atol=1e-3, msg=name)
