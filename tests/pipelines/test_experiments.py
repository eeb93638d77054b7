"""The same prompt and seed with other parameters: side by side under names, or replaced with a word."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kedro.framework.session import KedroSession

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.splats import load_ply


def process_prompt(create: Callable[..., KedroSession], **parameters: Any) -> None:
    with create(prompt="a cat", **parameters) as session:
        session.run(pipeline_names=["prompt"])


def other_views(template: str) -> dict[str, Any]:
    return {"prompt_processor": {"view_template": template}}


def test_experiments_have_folders_of_their_own(session: Callable[..., KedroSession], tmp_path: Path) -> None:
    root = tmp_path / "data/test/02_intermediate"
    process_prompt(session)
    process_prompt(session, experiment="study/from-behind", **other_views("{view} of {prompt}"))
    texts = [
        json.loads((root / place / "prompts.json").read_text())["views"][0]["text"]
        for place in ("a-cat", "study/from-behind/a-cat")
    ]
    assert texts == ["a cat, front view", "front of a cat"]


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", "a/", "..", "with space"])
def test_an_experiment_cannot_leave_the_data_root(session: Callable[..., KedroSession], name: str) -> None:
    with pytest.raises(ParameterError, match="'experiment'"):
        process_prompt(session, experiment=name)


def test_a_run_says_what_it_replaces(
    session: Callable[..., KedroSession], caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        texts = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        caplog.clear()
        return [text for text in texts if "replaced" in text]

    process_prompt(session)
    process_prompt(session)
    assert said() == []
    process_prompt(session, **other_views("{view} of {prompt}"))
    (sentence,) = said()
    assert sentence.startswith(
        "prompts.json of a-cat: made with other parameters (prompt_processor), replaced now"
    )
    process_prompt(session, experiment="other")
    assert said() == []


def test_views_without_a_plane_and_points_from_a_sphere(
    session: Callable[..., KedroSession], tiny_models: Any, tmp_path: Path
) -> None:
    stages = ["prompt", "reference", "multiview", "init"]
    given: dict[str, Any] = {"prompt": "a cat", "models": tiny_models.parameters()}
    plain = {"multiview": {"plane_preset": "none"}}
    with session(**given, **plain, init={"source": {"kind": "sphere"}}) as made:
        made.run(pipeline_names=stages)
    start = load_ply(tmp_path / "data/test/07_model_output/a-cat/initial_gaussians.ply")
    torch.testing.assert_close(start.means.norm(dim=1), torch.full((64,), 0.4))
    with (
        pytest.raises(ParameterError, match=r"Without Latent-Plane .* there is no density field"),
        session(**given, **plain) as refused,
    ):
        refused.run(pipeline_names=["generate"])
    # The views were made without a plane, by a run before this one.
    with pytest.raises(DataError, match="made without Latent-Plane"), session(**given) as late:
        late.run(pipeline_names=["init"])
