"""Captions and colour words."""

from __future__ import annotations

import numpy as np
import pytest

from placid_kedro.embedded.training.captions import captions, color_word, with_article
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


@pytest.mark.parametrize(
    ("rgb", "word"),
    [
        ((0.9, 0.05, 0.05), "red"),
        ((0.95, 0.9, 0.1), "yellow"),
        ((0.1, 0.7, 0.15), "green"),
        ((0.1, 0.2, 0.9), "blue"),
        ((0.4, 0.25, 0.1), "brown"),
        ((0.05, 0.05, 0.05), "black"),
        ((0.95, 0.95, 0.95), "white"),
        ((0.5, 0.5, 0.5), "gray"),
    ],
)
def test_plain_colours_have_their_everyday_names(rgb, word):
    assert color_word(np.full((40, 3), rgb, np.float32)) == word


def test_no_word_without_a_dominant_colour():
    thirds = np.repeat(
        np.array([(0.9, 0.05, 0.05), (0.1, 0.2, 0.9), (0.1, 0.7, 0.15)], np.float32), 20, axis=0
    )
    assert color_word(thirds) is None
    assert color_word(np.zeros((0, 3), np.float32)) is None


def test_names_that_differ_in_case_and_blanks_are_one():
    assert normal_name(" Coffee  MUG") == normal_name("coffee mug")
