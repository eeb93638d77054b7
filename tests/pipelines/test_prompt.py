"""The stage `prompt`, alone and through a session."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.session import KedroSession

from placid_kedro.config import PromptProcessorParameters
from placid_kedro.errors import ParameterError, PlacidError, PromptError
from placid_kedro.pipelines.prompt.nodes import process_prompt
from placid_kedro.prompts import Prompts

RULES = PromptProcessorParameters(
    max_characters=200, scripts=("LATIN",), view_template="{prompt}, {view} view", known_words=0.75
)


def test_node_writes_a_prompt_for_each_direction() -> None:
    prompts = process_prompt("  a\tteddy  bear ", 0, "./nowhere", RULES)
    assert (prompts.text, prompts.drawn, prompts.slug) == ("a teddy bear", "a teddy bear", "a-teddy-bear")
    assert prompts.at(0).text == "a teddy bear, front view"
    assert prompts.at(-90).text == "a teddy bear, right view"
    assert prompts.at(180).text == "a teddy bear, back view"


def test_the_model_is_asked_in_its_own_words_and_the_prompt_stays_the_users(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("sofa\ncactus\n", encoding="utf-8")
    prompts = process_prompt("a red couch", 0, (str(tmp_path), "owner/model"), RULES)
    assert (prompts.text, prompts.drawn, prompts.slug) == ("a red couch", "a red sofa", "a-red-couch")
    assert prompts.at(90).text == "a red sofa, left view"
    on_the_hub = process_prompt("a red couch", 0, ("owner/model", str(tmp_path)), RULES)
    assert on_the_hub.drawn == on_the_hub.text == "a red couch"


def run_prompt_stage(create: Callable[..., KedroSession], **parameters: Any) -> None:
    with create(**parameters) as kedro_session:
        kedro_session.run(pipeline_names=["generate"], node_names=["prompt.process_prompt"])


def test_session_writes_under_the_slug(session: Callable[..., KedroSession], tmp_path: Path) -> None:
    run_prompt_stage(session, prompt="a palm tree", seed=7)
    run_prompt_stage(session, prompt="a snowman")
    first = tmp_path / "data/test/02_intermediate/a-palm-tree_seed7/prompts.json"
    second = tmp_path / "data/test/02_intermediate/a-snowman/prompts.json"
    assert Prompts.model_validate(json.loads(first.read_text())).text == "a palm tree"
    assert Prompts.model_validate(json.loads(second.read_text())).text == "a snowman"


@pytest.mark.parametrize(
    ("parameters", "kind", "said"),
    [
        ({"prompt": " \n "}, PromptError, "empty"),
        ({"prompt": "bear " * 2000}, PromptError, "9999 characters"),
        ({"prompt": "плюшевый мишка"}, PromptError, "Latin"),
        ({"prompt": 5}, ParameterError, "'prompt' is 5"),
        ({"promt": "a cat"}, ParameterError, "did you mean 'prompt'"),
        ({"seed": -1}, ParameterError, "'seed' is -1"),
        ({"lora": {"rank": "four"}}, ParameterError, "'lora.rank' is 'four'"),
        ({"run": {"free_disk_mb": 1e12}}, PlacidError, "MiB are free"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    session: Callable[..., KedroSession],
    tmp_path: Path,
    parameters: dict[str, Any],
    kind: type[PlacidError],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as raised:
        run_prompt_stage(session, **parameters)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "data").exists()


def test_a_folder_in_the_place_of_an_output_is_left_alone(
    session: Callable[..., KedroSession], tmp_path: Path
) -> None:
    blocked = tmp_path / "data/test/02_intermediate/a-cat/prompts.json"
    blocked.mkdir(parents=True)
    (blocked / "mine.txt").write_text("keep")
    with pytest.raises(PlacidError, match="is a folder"):
        run_prompt_stage(session, prompt="a cat")
    assert (blocked / "mine.txt").read_text() == "keep"
