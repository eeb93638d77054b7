"""Folder names of prompts."""

import re

from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.prompts import clean_text, run_folder, run_slug, slugify_prompt


def test_plain_prompts_read_as_themselves() -> None:
    assert slugify_prompt("a teddy bear") == "a-teddy-bear"
    assert run_slug("a teddy bear", 0) == "a-teddy-bear"
    assert run_slug("a teddy bear", 12) == "a-teddy-bear_seed12"


@given(st.text(max_size=300))
def test_slugs_are_safe_folder_names(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,70}", slugify_prompt(text))


@given(st.lists(st.text(alphabet="ab AB-é/.", min_size=1, max_size=6), min_size=2, unique_by=clean_text))
def test_different_prompts_never_share_a_slug(texts: list[str]) -> None:
    assert len({slugify_prompt(text) for text in texts}) == len(texts)


def test_long_prompts_that_differ_at_their_end_stay_apart() -> None:
    one, other = "a bear " * 20 + "with a hat", "a bear " * 20 + "with a tie"
    assert slugify_prompt(one) != slugify_prompt(other)


def test_an_experiment_is_a_folder_around_the_runs() -> None:
    assert run_folder("", "a teddy bear", 3) == run_slug("a teddy bear", 3)
    assert run_folder("study/few-steps", "a teddy bear", 0) == "study/few-steps/a-teddy-bear"
