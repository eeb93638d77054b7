"""Prompts in words that the model knows, and which are said to be far from everything."""

import logging
from pathlib import Path

import pytest

from placid_kedro.embedded.known_words import in_known_words, nearest_names
from placid_kedro.errors import ModelError

NAMES = (
    "upright piano",
    "biplane",
    "teddy bear",
    "sofa",
    "apple iphone",
    "cuckoo clock",
    "boy",
    "futon couch",
)


@pytest.fixture()
def model(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return tmp_path


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


@pytest.mark.parametrize(
    ("prompt", "drawn"),
    [
        ("a couch", "a sofa"),  # nearer than "futon couch"
        ("the red couch", "a red sofa"),
        ("Purple PIANO", "a purple upright piano"),
        ("a clock", "a cuckoo clock"),  # MiniLM puts it at 0.73, but a name ends with it
        ("a wooden bear", "a wooden teddy bear"),
    ],
)
def test_other_words_for_a_known_thing_become_its_name(
    model: Path, caplog: pytest.LogCaptureFixture, prompt: str, drawn: str
) -> None:
    with caplog.at_level(logging.INFO):
        assert in_known_words(prompt, model, 0.75) == drawn
    assert f"{prompt!r} is drawn as {drawn!r}" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.INFO}


@pytest.mark.parametrize("prompt", ["a soft teddy bear", "a green boy", "A Biplane, blue"])
def test_a_prompt_with_a_known_name_stays_as_it_is(
    model: Path, caplog: pytest.LogCaptureFixture, prompt: str
) -> None:
    """MiniLM puts a green boy at 0.3 beside "boy"."""
    with caplog.at_level(logging.INFO):
        assert in_known_words(prompt, model, 0.75) == prompt
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("prompt", "nearest"),
    [
        ("an astronaut", 0.75),
        ("a boyish elf", 0.75),
        ("an apple", 0.75),  # 0.79 beside "apple iphone", which begins with it
        ("red", 0.75),
        ("a couch", None),
    ],
)
def test_a_prompt_that_means_no_known_thing_stays_and_is_told_with_its_neighbours(
    model: Path, caplog: pytest.LogCaptureFixture, prompt: str, nearest: float | None
) -> None:
    with caplog.at_level(logging.INFO):
        assert in_known_words(prompt, model, nearest) == prompt
    assert f"{prompt!r} is none of the things" in caplog.text
    assert sum(f"'{name}'" in caplog.text for name in NAMES) == 3


def test_a_model_that_is_not_bound_to_names_is_asked_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert in_known_words("a couch", tmp_path, 0.75) == "a couch"
    assert caplog.text == ""
    (tmp_path / "names.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ModelError, match="no names"):
        in_known_words("a couch", tmp_path, 0.75)
