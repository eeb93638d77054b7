"""`evaluate` on files that other programs might have left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import trimesh
from kedro.framework.session import KedroSession

from placid_kedro.errors import DataError
from placid_kedro.splats import Gaussians, save_ply


def evaluate(
    create: Callable[..., KedroSession], folder: Path, models: Any, prompts: str, **changed: Any
) -> None:
    (folder / "prompts.txt").write_text(prompts)
    given = {"objects": str(folder / "splats"), "prompts": str(folder / "prompts.txt"), **changed}
    with create(evaluate=given, models=models.parameters()) as session:
        session.run(pipeline_names=["evaluate"])


def test_a_folder_of_files_beside_the_published_rows(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    draw = torch.Generator().manual_seed(0)
    points, colors = torch.rand(60, 3, generator=draw) - 0.5, torch.rand(60, 3, generator=draw)
    save_ply(Gaussians.from_points(points, colors, opacity=0.9), tmp_path / "splats/a-cactus.ply")
    evaluate(session, tmp_path, tiny_models, "a cactus\n\na desk lamp: old\n")
    folder = tmp_path / "data/test/08_reporting/evaluate"
    scores = pd.read_parquet(folder / "scores.parquet").set_index("prompt")
    assert scores.missing.to_dict() == {"a cactus": False, "a desk lamp: old": True}
    assert scores.quality_embedded["a desk lamp: old"] == 0
    assert "quality" not in scores and set(scores.scorer_quality) == {"the embedded image-text scorer"}
    evidence = pd.read_parquet(folder / "evidence.parquet")
    assert (evidence.prompt == "a cactus").sum() == 60 + 12 + 12 + 2
    text = (folder / "table1.md").read_text()
    assert text.startswith("quality: the embedded image-text scorer\n")
    assert f"| {scores.quality_embedded.mean():.1f} |" in text and "| PlacidDreamer | 62.4 |" in text
    assert "| measured, 2 objects |" in text


def test_objects_of_another_cube_beside_real_ones(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    """Balls of half the cube's edge, in files of a cube twice as large, beside a ball."""
    ball = trimesh.creation.icosphere(radius=1.0)
    (tmp_path / "meshes").mkdir()
    ball.export(tmp_path / "meshes/ball.glb")
    points, faces = ball.sample(3000, return_index=True, seed=0)
    means, normals = (torch.tensor(part).float() for part in (points, ball.face_normals[faces]))
    gaussians = Gaussians.from_points(means, torch.full((3000, 3), 0.5), normals=normals, opacity=0.95)
    save_ply(gaussians, tmp_path / "splats/a-ball.ply")
    save_ply(gaussians, tmp_path / "splats/a-cactus.ply")
    truth = {"kind": "folder", "folder": str(tmp_path / "meshes"), "captions": ""}
    evaluate(session, tmp_path, tiny_models, "a ball\na cactus\n", truth=truth, half_edge=1.0)
    folder = tmp_path / "data/test/08_reporting/evaluate"
    scores = pd.read_parquet(folder / "scores.parquet").set_index("prompt")
    assert scores.loc["a ball", "truth"] == "ball"
    assert scores.loc["a ball", "geometry.silhouette_iou"] > 0.85
    assert "no mesh" in scores.loc["a cactus", "truth"]
    assert pd.isna(scores.loc["a cactus", "geometry.silhouette_iou"])
    text = (folder / "table1.md").read_text()
    assert "Beside real objects: 1 of 2." in text
    assert "geometry" not in text.partition("Beside real objects")[0]


def test_a_folder_of_meshes_that_is_not_there_is_known_before_any_work(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    truth = {"kind": "folder", "folder": str(tmp_path / "nowhere"), "captions": ""}
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        evaluate(session, tmp_path, tiny_models, "a cat\n", truth=truth)
    assert not (tmp_path / "data").exists()


def test_no_object_of_any_prompt_is_one_sentence(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    (tmp_path / "splats").mkdir()
    with pytest.raises(DataError, match="has no object of these prompts"):
        evaluate(session, tmp_path, tiny_models, "a cat\n")
