"""`generate` from the prompt to the report, on tiny models and on the committed ones."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pandas as pd
import pytest
import torch
import trimesh
from kedro.framework.session import KedroSession
from PIL import Image
from safetensors.torch import load_file

from placid_kedro.errors import DataError, EndpointError, ModelError, ParameterError, PlacidError
from placid_kedro.evaluation.report import Report
from placid_kedro.splats import Gaussians, load_ply, save_ply

STAGES = {"prompt", "reference", "multiview", "init", "lora", "bsd_3dgs"}
FILES = {
    "02_intermediate": {"prompts.json"},
    "06_models": {"lora.safetensors"},
    "07_model_output": {
        "density.safetensors",
        "distillation_curves.json",
        "initial_gaussians.ply",
        "lora_curves.json",
    },
    "08_reporting": {
        "gaussians.ply",
        "optimisation.png",
        "reference.png",
        "report.json",
        "t3bench.parquet",
        "turntable.mp4",
        "viewer.html",
        "views.png",
    },
}


def generate(create: Callable[..., KedroSession], *place: Any, **parameters: Any) -> None:
    with create(*place, **parameters) as session:
        session.run(pipeline_names=["generate"])


def contents(root: Path, slug: str) -> dict[str, bytes]:
    """Every file of a prompt's folders, without Kedro's and the stamps' own."""
    return {
        f"{layer}/{name}": (root / layer / slug / name).read_bytes()
        for layer in FILES
        for name in FILES[layer]
    }


@pytest.fixture(scope="module")
def runs(
    session_in: Callable[..., KedroSession], tiny_models: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, bytes]]:
    """The data root after two prompts, and what the first had left before the second began."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        generate(session_in, folder, prompt="a teddy bear", models=tiny_models.parameters())
        first = contents(folder / "data/test", "a-teddy-bear")
        generate(session_in, folder, prompt="a cactus", seed=5, models=tiny_models.parameters())
    return folder / "data/test", first


def test_every_file_is_in_its_place(runs: Any) -> None:
    root, _ = runs
    for slug in ("a-teddy-bear", "a-cactus_seed5"):
        for layer, names in FILES.items():
            found = {path.name for path in (root / layer / slug).iterdir() if not path.name.startswith(".")}
            assert {name for name in found if not name.endswith(".stamp.json")} >= names


def test_two_prompts_do_not_touch_each_other(runs: Any) -> None:
    root, before = runs
    after = contents(root, "a-teddy-bear")
    assert {name for name in after if after[name] != before[name]} == set()
    other = contents(root, "a-cactus_seed5")
    assert {name for name in after if after[name] == other[name]} == set()


def numbers(trace: dict[str, Any], axis: str) -> list[float]:
    """An axis of a trace in a figure's file; Plotly writes arrays in base64."""
    return np.frombuffer(base64.b64decode(trace[axis]["bdata"]), trace[axis]["dtype"]).tolist()


def test_the_curves_are_those_of_the_run(runs: Any) -> None:
    root, _ = runs
    folder = root / "07_model_output/a-cactus_seed5"
    lora, distillation = (
        json.loads((folder / f"{stage}_curves.json").read_text())["data"]
        for stage in ("lora", "distillation")
    )
    assert [(trace["name"], numbers(trace, "x")) for trace in lora] == [("lora_loss", [0, 1])] * 2
    last = {trace["name"]: numbers(trace, "y")[-1] for trace in distillation}
    assert {"guidance", "colour_variation", "scale", "norm_sg", "cosine"} <= last.keys()
    summary = json.loads((folder / "distillation.json").read_text())
    finished = load_ply(root / "08_reporting/a-cactus_seed5/gaussians.ply")
    assert last["gaussians"] == len(finished) + summary["unseen_gaussians"]


def test_the_gaussians_open_elsewhere(runs: Any) -> None:
    root, _ = runs
    for path in (
        root / "08_reporting/a-teddy-bear/gaussians.ply",
        root / "07_model_output/a-teddy-bear/initial_gaussians.ply",
    ):
        gaussians = load_ply(path)
        cloud = trimesh.load(path)
        # In the file x, y, z are the world's y, -z, -x, so that viewers show the object upright from the front.
        in_file = gaussians.means.numpy()[:, [1, 2, 0]] * [1, -1, -1]
        np.testing.assert_allclose(cloud.vertices, in_file, atol=1e-6)
    assert len(load_ply(root / "07_model_output/a-teddy-bear/initial_gaussians.ply")) == 64
    assert float(gaussians.means.abs().max()) <= 0.5 + 1e-3


def test_images_and_video_open_elsewhere(runs: Any) -> None:
    root, _ = runs
    folder = root / "08_reporting/a-teddy-bear"
    with Image.open(folder / "reference.png") as reference:
        assert (reference.size, reference.mode) == ((64, 64), "RGBA")
    with Image.open(folder / "views.png") as views:
        assert (views.size, views.mode) == (((8 + 2) * 64, 64), "RGB")  # the plane's ring, the lower ring
    reader = imageio_ffmpeg.read_frames(folder / "turntable.mp4")
    assert next(reader)["size"] == (32, 32)
    frames = list(reader)
    assert len(frames) == 4
    assert len(frames[0]) == 32 * 32 * 3


def test_the_report_tells_how_it_was_made(runs: Any, tiny_models: Any) -> None:
    root, _ = runs
    folder = root / "08_reporting/a-cactus_seed5"
    report = Report.model_validate(json.loads((folder / "report.json").read_text()))
    assert (report.prompt, report.slug, report.seed) == ("a cactus", "a-cactus_seed5", 5)
    assert report.models == tiny_models.parameters()
    assert set(report.stage_seconds) >= STAGES
    assert report.threads == torch.get_num_threads()
    assert all(seconds >= 0 for seconds in report.stage_seconds.values())
    assert report.stage_peak_mib.keys() == report.stage_seconds.keys()
    assert all(mib > 0 for mib in report.stage_peak_mib.values())
    assert report.distillation["algorithm"] == "bsd"
    assert report.gaussians == len(load_ply(folder / "gaussians.ply"))
    assert {"torch", "diffusers", "peft", "placid_kedro"} <= set(report.versions)
    # "cactus" is the prompt itself, so three other names compete.
    for score in (report.retrieval, report.retrieval_of_start):
        assert score.of == 4 and 1 <= score.rank <= 4
        scores = [name.score for name in score.best]
        assert scores == sorted(scores, reverse=True)
    assert "cactus" not in {name.name for name in report.retrieval.best}


def test_the_report_tells_how_near_the_object_comes_to_the_real_one(
    runs: Any, session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    """A ball in the place of what was made, beside a ball."""
    root, _ = runs
    shutil.copytree(root.parent, tmp_path / "data")
    folder = tmp_path / "data/test/08_reporting/a-teddy-bear"
    before = json.loads((folder / "report.json").read_text())
    assert before["truth"] == "not compared: the parameter 'truth' is of kind 'none'."
    assert before["geometry"] is None
    ball = trimesh.creation.icosphere(radius=0.5)
    (tmp_path / "meshes").mkdir()
    ball.export(tmp_path / "meshes/teddy bear.glb")
    points = torch.tensor(ball.sample(2000, seed=0)).float()
    save_ply(
        Gaussians.from_points(points, torch.full((2000, 3), 0.5), opacity=0.95), folder / "gaussians.ply"
    )
    truth = {"kind": "folder", "folder": str(tmp_path / "meshes"), "captions": ""}
    with session(models=tiny_models.parameters(), t3bench_eval={"truth": truth}) as evaluation:
        evaluation.run(pipeline_names=["t3bench_eval"])
    report = Report.model_validate(json.loads((folder / "report.json").read_text()))
    assert report.truth == "teddy-bear" and report.geometry is not None
    # The Gaussians of these few points reach a tenth of the radius outwards.
    assert report.geometry.silhouette_iou is not None and report.geometry.silhouette_iou > 0.6
    assert report.geometry.chamfer is not None and report.geometry.chamfer < 0.03
    assert report.geometry.chroma is not None and report.geometry.chroma < 0.1


def test_the_report_begins_with_who_scored_and_stand_ins_keep_their_own_names(runs: Any) -> None:
    root, _ = runs
    folder = root / "08_reporting/a-cactus_seed5"
    said = json.loads((folder / "report.json").read_text())
    assert list(said)[:2] == ["scorers", "scores"]
    assert said["scorers"]["quality"] == "the embedded image-text scorer"
    assert said["scorers"]["protocol"] == "paper, 12 of 162 poses, 32 px, white background"
    parts = {"quality", "quality_raw", "alignment", "alignment_rating"}
    assert set(said["scores"]) == {f"{part}_embedded" for part in parts}
    evidence = pd.read_parquet(folder / "t3bench.parquet")
    assert evidence.step.value_counts().to_dict() == {
        "image": 60,
        "pose": 12,
        "caption": 12,
        "merged": 1,
        "judged": 1,
    }
    poses = evidence[evidence.step == "pose"].value
    assert said["scores"]["quality_embedded"] == pytest.approx(20 * poses.max() + 50)


def test_the_papers_environment_has_no_stand_ins(session: Callable[..., KedroSession]) -> None:
    parameters = session(env="paper").load_context().config_loader["parameters"]
    kinds = {parameters["t3bench_eval"]["scores"][part]["kind"] for part in ("quality", "captions", "judge")}
    assert "embedded" not in kinds


def test_a_judge_that_is_down_is_found_before_any_work(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    judge = {
        "kind": "endpoint",
        "url": "http://127.0.0.1:9/v1",
        "model": "m",
        "timeout_seconds": 5.0,
        "retries": 0,
    }
    scores = {"judge": {**judge, "backoff_seconds": 0.0, "cache": ""}}
    with pytest.raises(EndpointError, match="cannot be reached"):
        generate(session, prompt="a cat", models=tiny_models.parameters(), t3bench_eval={"scores": scores})
    assert not (tmp_path / "data").exists()


def test_a_judge_without_captions_is_found_before_any_work(
    session: Callable[..., KedroSession], tiny_models: Any
) -> None:
    with pytest.raises(ParameterError, match="alignment needs both"):
        generate(
            session,
            prompt="a cat",
            models=tiny_models.parameters(),
            t3bench_eval={"scores": {"captions": {"kind": "none"}}},
        )


def test_density_and_lora_are_plain_tensors(runs: Any) -> None:
    root, _ = runs
    density = load_file(root / "07_model_output/a-teddy-bear/density.safetensors")["density"]
    assert density.shape == (16, 16, 16) and float(density.min()) >= 0
    assert len(load_file(root / "06_models/a-teddy-bear/lora.safetensors")) > 0


def test_the_same_prompt_and_seed_give_the_same_bytes(
    runs: Any, session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    generate(session, prompt="a teddy bear", models=tiny_models.parameters())
    again, first = contents(tmp_path / "data/test", "a-teddy-bear"), runs[1]
    different = {name for name in first if first[name] != again[name]}
    assert different == {"08_reporting/report.json", "08_reporting/viewer.html"}  # they hold the times


@pytest.fixture
def broken_models(tiny_models: Any, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Models with one file taken away or, with a leading `~`, cut short."""

    def damage(file: str) -> dict[str, str]:
        name = file.lstrip("~").split("/")[0]
        copy = tmp_path / "broken" / name
        shutil.copytree(getattr(tiny_models, name), copy)
        path = copy.parent / file.lstrip("~")
        path.write_bytes(path.read_bytes()[:-8]) if file.startswith("~") else path.unlink()
        return {**tiny_models.parameters(), name: str(copy)}

    return damage


@pytest.mark.parametrize(
    "file",
    [
        "text_to_image/unet/diffusion_pytorch_model.safetensors",
        "text_to_image/model_index.json",
        "zero123/reference_tokens/diffusion_pytorch_model.safetensors",
        "zero123/lifted_reference/diffusion_pytorch_model.safetensors",
        "~latent_plane/latent_plane/diffusion_pytorch_model.safetensors",
        "~scorer/scorer/diffusion_pytorch_model.safetensors",
        "scorer/names.txt",
    ],
)
def test_a_missing_or_damaged_model_file_is_found_before_any_work(
    session: Callable[..., KedroSession],
    broken_models: Callable[[str], dict[str, str]],
    tmp_path: Path,
    file: str,
) -> None:
    with pytest.raises(ModelError) as raised:
        generate(session, prompt="a cat", models=broken_models(file))
    name = file.lstrip("~").split("/")[0]
    assert str(tmp_path / "broken" / name) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        (
            {"init": {"source": {"kind": "file", "path": "nowhere.ply"}}},
            DataError,
            "no point cloud nowhere.ply",
        ),
        ({"reference": {"image": "nowhere.png"}}, DataError, "no picture nowhere.png"),
        ({"reference": {"image": "models"}}, DataError, "no picture models"),
        (
            {"reference": {"background": {"kind": "network", "model": "./no.onnx", "trained_as": "isnet"}}},
            ModelError,
            r"no network \./no\.onnx",
        ),
        ({"multiview": {"elevation_deg": 90.0}}, ParameterError, "'multiview.elevation_deg' is 90.0"),
        (
            {"bsd_3dgs": {"cameras": {"elevation_deg": [0.0, 95.0]}}},
            ParameterError,
            "keep elevation_deg between -90.0 and 90.0",
        ),
        ({"bsd_3dgs": {"cameras": {"distance": [0.0, 1.0]}}}, ParameterError, "keep distance between 0.0"),
        ({"models": {"scorer": "./nowhere"}}, ModelError, "'scorer' cannot be had: there is no folder"),
    ],
)
def test_bad_parameters_of_later_stages_are_found_before_any_work(
    session: Callable[..., KedroSession],
    tiny_models: Any,
    tmp_path: Path,
    parameters: dict[str, Any],
    kind: type[PlacidError],
    said: str,
) -> None:
    models = {**tiny_models.parameters(), **parameters.pop("models", {})}
    with pytest.raises(kind, match=said):
        generate(session, prompt="a cat", models=models, **parameters)
    assert not (tmp_path / "data").exists()


def test_steps_that_the_model_has_not_are_one_sentence(
    session: Callable[..., KedroSession], tiny_models: Any
) -> None:
    with pytest.raises(ParameterError, match="1001, but it should be less than or equal to 1000"):
        generate(session, prompt="a cat", models=tiny_models.parameters(), reference={"steps": 1001})


def test_views_that_the_plane_does_not_know_are_one_sentence_before_work(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="made for 8 other views than the 6"):
        generate(session, prompt="a cat", models=tiny_models.parameters(), multiview={"views": 6})
    assert not (tmp_path / "data").exists()


def test_a_picture_of_ones_own_becomes_the_reference(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    """Cut out as a drawn one is, from a relative path."""
    for box in ((30, 10, 50, 70), (10, 30, 70, 50)):
        image = Image.new("RGB", (80, 80), "white")
        image.paste("green", box)
        image.save(tmp_path / "photo.png")
        with session(
            prompt="a cat", models=tiny_models.parameters(), reference={"image": "photo.png"}
        ) as run:
            run.run(pipeline_names=["generate"], to_nodes=["reference.sample_reference"])
        with Image.open(tmp_path / "data/test/08_reporting/a-cat/reference.png") as reference:
            assert (reference.size, reference.mode) == ((512, 512), "RGBA")
            left, top, right, bottom = reference.getchannel("A").getbbox()
            wide, high = box[2] - box[0], box[3] - box[1]
            assert (right - left) / (bottom - top) == pytest.approx(wide / high, rel=0.05)
            assert reference.getpixel((256, 256)) == (0, 128, 0, 255)


def test_the_committed_models(session: Callable[..., KedroSession], project: Path, tmp_path: Path) -> None:
    if not (project / "models" / "text_to_image" / "model_index.json").is_file():
        pytest.skip("the trained models are not in this checkout")
    # So few steps show the shape to nobody, so its surface is not asked for.
    few: dict[str, Any] = {"reference": {"steps": 4}, "multiview": {"steps": 2}}
    generate(session, prompt="a teddy bear", init={"source": {"kind": "sphere"}}, **few)
    folder = tmp_path / "data/test/08_reporting/a-teddy-bear"
    report = Report.model_validate(json.loads((folder / "report.json").read_text()))
    assert report.models["text_to_image"] == "./models/text_to_image"
    assert report.retrieval.of > 100
    with Image.open(folder / "views.png") as views:
        assert views.size == ((8 + 2) * 128, 128)
    assert len(load_ply(folder / "gaussians.ply")) > 0
