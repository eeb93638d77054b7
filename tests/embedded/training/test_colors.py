"""Colour words, and objects in other colours."""

from __future__ import annotations

import colorsys

import pytest
import torch

from placid_kedro.embedded.training.colors import COLOR_WORDS, color_indices, painted, paintings
from placid_kedro.embedded.training.split import CuratedObject


def word_of(red: float, green: float, blue: float) -> str:
    """The rule, written out for one colour with Python's own conversion."""
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < 0.22:
        return "black"
    if saturation < 0.18:
        return "white" if value > 0.62 else "gray"
    degrees = 360 * hue
    if 15 <= degrees < 50 and (value < 0.55 or saturation < 0.6):
        return "brown"
    limits = {20: "red", 43: "orange", 68: "yellow", 165: "green", 255: "blue", 300: "purple", 342: "pink"}
    return next((word for limit, word in limits.items() if degrees < limit), "red")


def test_words_of_random_colours_are_the_rules() -> None:
    colors = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    colors[:50] = colors[:50, :1]  # grays
    found = [COLOR_WORDS[index] for index in color_indices(colors).tolist()]
    assert found == [word_of(*color) for color in colors.tolist()]
    assert set(found) == set(COLOR_WORDS)


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
def test_plain_colours_have_their_everyday_names(rgb: tuple[float, float, float], word: str) -> None:
    assert COLOR_WORDS[int(color_indices(torch.tensor(rgb)))] == word


@pytest.mark.parametrize("wanted", [word for word in COLOR_WORDS if word != "brown"])
def test_a_painted_part_has_the_wanted_colour_and_the_rest_stays(wanted: str) -> None:
    """A brown square with lighter and darker pixels beside a blue one, on nothing."""
    rgba = torch.zeros(1, 24, 24, 4)
    shading = torch.linspace(0.85, 1.15, 8)
    rgba[0, 4:12, 4:12, :3] = torch.tensor([0.45, 0.3, 0.15]) * shading[:, None]
    rgba[0, 14:22, 14:22, :3] = torch.tensor([0.1, 0.2, 0.9])
    rgba[0, 4:12, 4:12, 3] = rgba[0, 14:22, 14:22, 3] = 1
    result = painted(rgba, "brown", wanted)
    inside = result[0, 5:11, 5:11, :3]
    assert {COLOR_WORDS[index] for index in color_indices(inside).flatten().tolist()} == {wanted}
    assert torch.equal(result[0, 14:22, 14:22], rgba[0, 14:22, 14:22])
    assert torch.equal(result[..., 3], rgba[..., 3])
    # Its shading stays: the pixels keep their order.
    value = inside.amax(dim=-1)[2]
    assert torch.equal(value.argsort(), torch.arange(6)) or wanted == "white"
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


def test_which_objects_are_painted() -> None:
    def named(name: str, *adjectives: str) -> CuratedObject:
        return CuratedObject(name, name, name, "vocabulary", adjectives)

    found = paintings(
        [
            named("Teddy bear", "brown"),
            named("Black table", "black"),
            named("Cactus"),
            named("Sofa", "wooden", "red"),
        ]
    )
    assert {index for index, _, _ in found} == {0, 3}
    assert [word for index, own, word in found if index == 0 and own == "brown"] == [
        word for word in COLOR_WORDS if word != "brown"
    ]
    assert all(own == "red" for index, own, _ in found if index == 3)
