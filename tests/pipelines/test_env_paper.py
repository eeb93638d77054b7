"""`generate --env paper` from the prompt to the page, on shrunk models in the hub's layouts."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from kedro.framework.session import KedroSession
from PIL import Image
from safetensors.torch import load_file

from placid_kedro.cameras import ring
from placid_kedro.evaluation.report import Report
from placid_kedro.latent_plane import LatentPlane
from placid_kedro.latent_plane.training.export import save_latent_plane
from placid_kedro.splats import load_ply
from tools.model_folders import (
    MVDREAM,
    SHRUNK,
    SHRUNK_21,
    STABLE_DIFFUSION_15,
    STABLE_DIFFUSION_21,
    ZERO123_XL,
    Sizes,
    make_autoencoder,
    make_image_encoder,
    make_text_encoder,
    make_unet,
    write_plane,
    write_stable_diffusion,
    write_zero123,
)
from tools.mvdream_folder import make_mvdream_unet, write_mvdream
from tools.shap_e_folder import write_shap_e

CONF = Path(__file__).absolute().parents[2] / "conf"
# What only a GPU does in bearable time, made small; every choice of the environment stays.
SMALL: dict[str, Any] = {
    "run": {"device": "cpu"},
    "tracking": {"enabled": False},
    "reference": {"steps": 2, "mask": {"smallest": 0.0, "largest": 1.0, "border": 1.0, "pieces": 1_000_000}},
    "multiview": {"steps": 3, "density_resolution": 8},
    "init": {"points": 100},
    "lora": {"steps": 2},
    "bsd_3dgs": {
        "steps": 3,
        "image_size": 64,
        "densification": {"start": 1, "stop": 3, "every": 1, "maximum": 300},
    },
    "t3bench_eval": {"views": 2, "image_size": 32, "turntable_size": 32, "turntable_frames": 4},
}


def background(folder: Path) -> dict[str, str]:
    """A segmentation network that takes what is bright for the object."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    kernel = helper.make_tensor("kernel", kind, (1, 3, 1, 1), [9.0] * 3)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["mask"]),
    ]
    given = helper.make_tensor_value_info("image", kind, (1, 3, 32, 32))
    made = helper.make_tensor_value_info("mask", kind, None)
    graph = helper.make_graph(nodes, "bright", [given], [made], [kernel])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        folder / "bright.onnx",
    )
    return {"model": str(folder / "bright.onnx")}


@pytest.mark.parametrize(
    ("write_text_to_image", "layout", "changes"),
    [
        (partial(write_stable_diffusion, sizes=SHRUNK_21), "cc_projection", {}),
        (
            partial(write_stable_diffusion, sizes=SHRUNK),
            "clip_camera_projection",
            {"run.precision": "bf16", "bsd_3dgs.encoded_at_once": 1},
        ),
        (
            partial(write_stable_diffusion, sizes=SHRUNK_21, prediction_type="v_prediction"),
            "cc_projection",
            {},
        ),
    ],
    ids=["2.1", "1.5 in little memory", "v-prediction"],
)
def test_every_stage_runs(
    session: Callable[..., KedroSession],
    tmp_path: Path,
    write_text_to_image: Callable[[Path], Path],
    layout: str,
    changes: dict[str, Any],
) -> None:
    models = {
        "text_to_image": str(write_text_to_image(tmp_path / "sd")),
        "zero123": str(write_zero123(tmp_path / "zero123", layout)),
        "latent_plane": str(write_plane(tmp_path / "plane")),
    }
    parameters = deepcopy(SMALL)
    parameters["reference"]["background"] = background(tmp_path)
    for name, value in changes.items():
        group, _, key = name.partition(".")
        parameters[group][key] = value
    with session("paper", prompt="a cactus", models=models, **parameters) as opened:
        opened.run(pipeline_names=["generate"])
    root = tmp_path / "data/paper"
    folder = root / "08_reporting/a-cactus"
    assert Image.open(folder / "reference.png").mode == "RGBA"
    density = load_file(root / "07_model_output/a-cactus/density.safetensors")["density"]
    assert density.shape == (8, 8, 8) and bool((density > 0).all())
    initial = load_ply(root / "07_model_output/a-cactus/initial_gaussians.ply")
    assert len(initial) == 100
    torch.testing.assert_close(initial.opacities, torch.full((100,), 0.1))
    lora = load_file(root / "06_models/a-cactus/lora.safetensors")
    assert {min(tensor.shape) for tensor in lora.values()} == {4}
    final = load_ply(folder / "gaussians.ply")
    assert bool(final.means.isfinite().all()) and len(final) > 0
    report = Report.model_validate_json((folder / "report.json").read_text())
    assert report.prompt == "a cactus"
    assert (folder / "viewer.html").is_file() and (folder / "turntable.mp4").is_file()


def test_mvdream_draws_the_reference_and_the_views(
    session: Callable[..., KedroSession], tmp_path: Path
) -> None:
    """Sec. 4.1's other reference, and N = 4; Zero-1-to-3 is not asked for."""
    torch.manual_seed(0)
    cameras = ring(4, 15.0, 1.5, 49.13, 64)
    plane = LatentPlane(64, 128, cameras, token_channels=8, num_octaves=2, num_heads=2, samples_per_ray=4)
    plane.sigma_head.bias.data.fill_(21.0)
    save_latent_plane(tmp_path / "plane", plane)
    models = {
        "text_to_image": str(write_stable_diffusion(tmp_path / "sd")),
        "zero123": "./nowhere",
        "latent_plane": str(tmp_path / "plane"),
        "mvdream": str(write_mvdream(tmp_path / "mvdream")),
    }
    parameters = deepcopy(SMALL)
    parameters["reference"] |= {"source": {"kind": "mvdream", "elevation_deg": 15.0}}
    parameters["reference"]["background"] = background(tmp_path)
    parameters["multiview"] |= {"source": {"kind": "mvdream"}, "views": 4, "elevation_deg": 15.0}
    nodes = ["reference.sample_reference", "multiview.sample_object_views"]
    with session("paper", prompt="a cactus", models=models, **parameters) as opened:
        opened.run(pipeline_names=["generate"], to_nodes=nodes)
    root = tmp_path / "data/paper"
    assert Image.open(root / "08_reporting/a-cactus/reference.png").size == (64, 64)
    density = load_file(root / "07_model_output/a-cactus/density.safetensors")["density"]
    assert density.shape == (8, 8, 8) and bool((density > 0).all())


def test_shap_e_draws_the_points_where_the_plane_is_taken_away(
    session: Callable[..., KedroSession], tmp_path: Path
) -> None:
    """Table 1's "w/o Latent-Plane" as the environment's ablation has it; no plane is asked for."""
    models = {
        "text_to_image": str(write_stable_diffusion(tmp_path / "sd")),
        "zero123": str(write_zero123(tmp_path / "zero123")),
        "latent_plane": "./nowhere",
        "shap_e": str(write_shap_e(tmp_path / "shap-e")),
    }
    ablation = yaml.safe_load((CONF / "paper/parameters_ablation.yml").read_text())["ablation"]
    variant = ablation["known_variants"]["without_latent_plane"]
    parameters = deepcopy(SMALL)
    parameters["reference"]["background"] = background(tmp_path)
    parameters["multiview"]["plane_preset"] = "none"
    parameters["init"] = {
        "source": {**variant["init"]["source"], "steps": 2, "resolution": 16},
        "points": 100,
    }
    with session("paper", prompt="a cactus", models=models, **parameters) as opened:
        opened.run(pipeline_names=["generate"], to_nodes=["init.place_gaussians"])
    initial = load_ply(tmp_path / "data/paper/07_model_output/a-cactus/initial_gaussians.ply")
    assert len(initial) == 100
    torch.testing.assert_close(initial.opacities, torch.full((100,), 0.1))
    assert float((initial.means.amax(0) - initial.means.amin(0)).max()) == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: make_unet(STABLE_DIFFUSION_15.unet), 859_520_964),
        (lambda: make_unet(STABLE_DIFFUSION_21.unet), 865_910_724),
        (lambda: make_unet(ZERO123_XL.unet, in_channels=8), 859_520_964 + 4 * 320 * 9),
        (lambda: make_autoencoder(STABLE_DIFFUSION_21.autoencoder), 83_653_863),
        (lambda: text_encoder(STABLE_DIFFUSION_15), 123_060_480),
        (lambda: text_encoder(STABLE_DIFFUSION_21), 340_387_840),
        (lambda: make_image_encoder(ZERO123_XL), 303_179_776 + 768 * 1024),
        (lambda: make_mvdream_unet(MVDREAM.unet), 865_910_724 + 17 * 1280 + 1281 * 1280),
    ],
)
def test_the_real_sizes_are_those_of_the_published_networks(make: Callable[[], Any], expected: int) -> None:
    """Numbers of weights as everybody counts them in the published files."""
    with torch.device("meta"):
        network = make()
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def text_encoder(sizes: Sizes) -> Any:
    return make_text_encoder(sizes, {"<|startoftext|>": 49406, "<|endoftext|>": 49407})
