"""Captions."""

from __future__ import annotations

import pytest

from placid_kedro.embedded.training.captions import captions, with_article
from placid_kedro.objects.split import normal_name


def test_all_captions_of_an_object():
    assert captions(" Upright  Piano ", ["black", "wooden"]) == (
        "upright piano",
        "an upright piano",
        "a black upright piano",
        "a wooden upright piano",
    )


def test_an_adjective_that_is_in_the_name_is_not_repeated():
    assert captions("Red chair", ["red"]) == ("red chair", "a red chair")


@pytest.mark.parametrize(
    ("noun", "phrase"),
    [
        ("apple", "an apple"),
        ("unicorn", "a unicorn"),
        ("scissors", "scissors"),
        ("french fries", "french fries"),
    ],
)
def test_articles(noun, phrase):
    assert with_article(noun) == phrase


def test_names_that_differ_in_case_and_blanks_are_one():
    assert normal_name(" Coffee  MUG") == normal_name("coffee mug")
