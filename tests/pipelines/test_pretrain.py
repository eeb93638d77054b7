"""The pipeline `pretrain` on a handful of generated objects: every model is made and loads as `generate` loads it."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from safetensors.torch import load_file

from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.diffusion.text_to_image import load_text_to_image, sample_images
from placid_kedro.embedded.networks.scorer import known_names, load_scorer
from placid_kedro.errors import DataError, ModelError, ParameterError
from placid_kedro.latent_plane import LatentPlane

CSV = """uid,catalog_id,name,part,adjectives
ball,Test#ball,Ball,vocabulary,red
tower,Test#tower,Tower,vocabulary,
brick,Test#brick,Brick,train,blue
cone,Test#cone,Cone,held_out,
"""


def painted(mesh: trimesh.Trimesh, color: tuple[int, int, int]) -> trimesh.Trimesh:
    mesh.visual.vertex_colors = np.tile([*color, 255], (len(mesh.vertices), 1)).astype(np.uint8)
    return mesh


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    folder = tmp_path / "meshes"
    folder.mkdir()
    painted(trimesh.creation.icosphere(subdivisions=1), (200, 40, 40)).export(folder / "ball.glb")
    painted(trimesh.creation.box((1, 2, 1)), (60, 160, 60)).export(folder / "tower.glb")
    painted(trimesh.creation.box((2, 1, 1)), (40, 40, 200)).export(folder / "brick.glb")
    painted(trimesh.creation.cone(1, 2), (200, 200, 40)).export(folder / "cone.glb")
    (tmp_path / "objects.csv").write_text(CSV)
    return folder


def test_all_models_are_made_and_load(
    session: Callable[..., Any], objects: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), session() as kedro_session:
        kedro_session.run(pipeline_names=["pretrain"])
    told = [record.getMessage() for record in caplog.records]
    cost = next(
        index for index, line in enumerate(told) if line.startswith("pretrain: 3 objects (2 in the voc")
    )
    assert any(line.startswith("make_views: started") for line in told[cost:])

    models = tmp_path / "data/test/06_models/embedded"
    cpu = torch.device("cpu")
    model = load_text_to_image(models / "text_to_image", cpu)
    images = sample_images(
        model, ["a ball"], steps=2, guidance_scale=2.0, generator=torch.Generator().manual_seed(0)
    )
    assert images.shape == (1, 3, 32, 32) and bool(torch.isfinite(images).all())
    assert load_novel_view(models / "zero123", cpu).image_size == 32
    plane = LatentPlane.from_pretrained(models / "latent_plane/latent_plane")
    assert len(plane.cameras) == 8
    assert load_scorer(models / "scorer").embed_images(images).shape == (1, 8)
    assert known_names(models / "scorer") == ("ball", "brick", "tower")

    # Both models end with one decoder, which learned on; its linear part is the first one's.
    first, *last = (
        load_file(folder / "diffusion_pytorch_model.safetensors")
        for folder in (
            models.parent / "pretrain/autoencoder",
            models / "text_to_image/vae",
            models / "zero123/vae",
        )
    )
    for key, value in last[0].items():
        assert torch.equal(last[1][key], value)
    same = {key for key, value in last[0].items() if torch.equal(value.float(), first[key].half().float())}
    assert {"analysis.weight", "synthesis.weight"} <= same and same < set(first)

    card, attribution = ((models / name).read_text() for name in ("README.md", "ATTRIBUTION.md"))
    assert "> ball, tower" in card
    assert "Test#brick" in attribution and "Test#cone" not in attribution
    # No array knows of the held-out object.
    views = tmp_path / "data/test/05_model_input/pretrain/views"
    assert json.loads((views / "views.json").read_text())["uids"] == ["ball", "tower", "brick"]
    assert not list((tmp_path / "data/test").rglob("*cone*"))
    made = tmp_path / "data/test/05_model_input/pretrain/made_views"
    assert json.loads((made / "views.json").read_text())["uids"] == ["made-00000", "made-00001"]


def test_a_finished_training_is_not_repeated(
    session: Callable[..., Any], objects: Path, tmp_path: Path
) -> None:
    nodes = [f"pretrain.{name}" for name in ("plan_pretrain", "make_views", "fit_autoencoder")]
    with session() as kedro_session:
        kedro_session.run(pipeline_names=["pretrain"], node_names=nodes)
    checkpoint = tmp_path / "data/test/06_models/pretrain/checkpoints/autoencoder.pt"
    rendered = next((tmp_path / "data/test/02_intermediate/pretrain/views").rglob("ball.zip"))
    before = checkpoint.stat().st_mtime_ns, rendered.stat().st_mtime_ns
    weights = tmp_path / "data/test/06_models/pretrain/autoencoder/diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    with session() as kedro_session:
        kedro_session.run(pipeline_names=["pretrain"], node_names=nodes)
    assert (checkpoint.stat().st_mtime_ns, rendered.stat().st_mtime_ns) == before
    assert weights.read_bytes() == content


def test_a_missing_object_is_told_before_any_work(
    session: Callable[..., Any], objects: Path, tmp_path: Path
) -> None:
    (objects / "brick.glb").unlink()
    with (
        pytest.raises(DataError, match="lack 1 objects of the list, first brick"),
        session() as kedro_session,
    ):
        kedro_session.run(pipeline_names=["pretrain"])
    assert not list((tmp_path / "data").rglob("*.zip"))


def test_views_and_shares_that_do_not_fit_are_refused_at_the_door(session: Callable[..., Any]) -> None:
    one_ring = {"rendering": {"protocol": {"rings": [{"views": 1, "elevation_deg": [30.0, 30.0]}]}}}
    for changed, message in (
        (one_ring, "the last of rendering.protocol.rings has 1 views, .* wants 2"),
        (
            {"novel_view": {"shares": {"eighths": 0.7, "lower_ring": 0.4}}},
            "together they should be at most 1",
        ),
    ):
        with (
            pytest.raises(ParameterError, match=message),
            session(pretrain=changed) as kedro_session,
        ):
            kedro_session.run(pipeline_names=["pretrain"])


def test_a_training_goes_on_from_models(session: Callable[..., Any], objects: Path, tmp_path: Path) -> None:
    """With a learning rate of nearly nothing the UNets end as what they began with; the other parts are kept."""
    trained = ["pretrain.train_text_to_image", "pretrain.train_novel_view"]
    with session() as kedro_session:
        kedro_session.run(pipeline_names=["pretrain"], to_nodes=trained)
    first = (tmp_path / "data/test/06_models/pretrain").rename(tmp_path / "first")
    shutil.rmtree(tmp_path / "data")

    still = {"training": {"learning_rate": 1e-12}}
    changed = {"start": str(first), "text_to_image": still, "novel_view": still}
    with session(pretrain=changed) as kedro_session:
        kedro_session.run(pipeline_names=["pretrain"], to_nodes=trained)

    second = tmp_path / "data/test/06_models/pretrain"
    parts = {
        "text_to_image": ("unet", "vae"),
        "zero123": ("unet", "vae", "reference_tokens", "lifted_reference"),
    }
    for model, names in parts.items():
        for name in names:
            before, after = (
                load_file(folder / model / name / "diffusion_pytorch_model.safetensors")
                for folder in (first, second)
            )
            assert before.keys() == after.keys()
            assert all(torch.equal(after[key], before[key]) for key in before), (model, name)


def test_models_to_start_from_must_be_there(
    session: Callable[..., Any], objects: Path, tmp_path: Path
) -> None:
    with (
        session(pretrain={"start": str(tmp_path / "nothing")}) as kedro_session,
        pytest.raises(ModelError, match=r"holds no model text_to_image; give pretrain\.start a folder"),
    ):
        kedro_session.run(pipeline_names=["pretrain"])
