"""Which prompts are said to be far from everything known."""

import logging
from pathlib import Path

import pytest

from placid_kedro.embedded.nearest_names import nearest_names, warn_if_far
from placid_kedro.errors import ModelError

NAMES = ("upright piano", "biplane", "teddy bear", "sofa")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a grand piano", "upright piano"),
        ("an airplane", "biplane"),
        ("a red couch", "sofa"),
        ("a bear", "teddy bear"),
    ],
)
def test_the_nearest_name_is_what_a_person_would_say(prompt: str, name: str) -> None:
    nearest = nearest_names(prompt, NAMES)
    assert nearest[0][0] == name
    cosines = [cosine for _, cosine in nearest]
    assert len(nearest) == 3
    assert cosines == sorted(cosines, reverse=True) and -1 <= cosines[-1] <= cosines[0] <= 1.0001


def test_a_prompt_far_from_everything_is_named_with_its_neighbours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        warn_if_far("a soft teddy bear", tmp_path)
        assert caplog.text == ""
        warn_if_far("an astronaut", tmp_path)
    assert "'an astronaut' is none of the things" in caplog.text
    assert sum(f"'{name}'" in caplog.text for name in NAMES) == 3


def test_a_model_that_is_not_bound_to_names_is_asked_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_if_far("an astronaut", tmp_path)
    assert caplog.text == ""
    (tmp_path / "names.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ModelError, match="no names"):
        warn_if_far("an astronaut", tmp_path)


@pytest.mark.parametrize(
    ("prompt", "silent"),
    [
        ("a green boy", True),  # MiniLM puts it at 0.3 beside "boy"
        ("A Biplane, blue", True),
        ("a boyish elf", False),
    ],
)
def test_a_name_in_the_prompt_needs_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, prompt: str, silent: bool
) -> None:
    names = ("boy", "biplane", "teddy bear")
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        warn_if_far(prompt, tmp_path)
    assert (caplog.text == "") == silent
