"""`evaluate` on files that other programs might have left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from kedro.framework.session import KedroSession

from placid_kedro.errors import DataError
from placid_kedro.splats import Gaussians, save_ply


def evaluate(create: Callable[..., KedroSession], folder: Path, models: Any, prompts: str) -> None:
    (folder / "prompts.txt").write_text(prompts)
    given = {"objects": str(folder / "splats"), "prompts": str(folder / "prompts.txt")}
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


def test_no_object_of_any_prompt_is_one_sentence(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    (tmp_path / "splats").mkdir()
    with pytest.raises(DataError, match="has no object of these prompts"):
        evaluate(session, tmp_path, tiny_models, "a cat\n")
