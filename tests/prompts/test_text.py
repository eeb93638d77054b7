"""Cleaning and refusing prompts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.errors import PromptError
from placid_kedro.prompts import check_text, clean_text


@given(st.text())
def test_cleaned_text_is_printable_single_spaced_and_stable(text: str) -> None:
    cleaned = clean_text(text)
    assert all(unicodedata.category(character)[0] != "C" for character in cleaned)
    assert cleaned.split(" ") == cleaned.split() or cleaned == ""
    assert clean_text(cleaned) == cleaned


def test_control_characters_go_and_words_stay_apart() -> None:
    assert clean_text("a\x00 te\u200bddy\r\nbear\x1b") == "a teddy bear"
    assert clean_text("ｆｕｌｌ width") == "full width"


@pytest.mark.parametrize("text", ["a café", "R2-D2", "50% off sign", "Ångström", "a 'quoted' ${thing}"])
def test_latin_prompts_pass(text: str) -> None:
    assert check_text(text, 200, ("LATIN",)) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("\x00\u200b", "empty"),
        ("12345 !?", "no letter"),
        ("🐻", "no letter"),
        ("熊", "letter '熊'"),
        ("a мишка", "letter 'м'"),
        ("x" * 201, "201 characters"),
    ],
)
def test_unreadable_prompts_are_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(PromptError, match=said) as raised:
        check_text(text, 200, ("LATIN",))
    assert "\n" not in str(raised.value)


def test_the_scripts_are_a_parameter() -> None:
    assert check_text("мишка", 200, ("LATIN", "CYRILLIC")) == "мишка"
