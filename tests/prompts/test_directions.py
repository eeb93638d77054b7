"""Directional prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.prompts import VIEW_NAMES, Prompts, directional_prompts, view_name, view_prompt


@pytest.mark.parametrize(
    ("azimuth_deg", "name"),
    [(0, "front"), (90, "left"), (180, "back"), (270, "right"), (-45, "front right"), (22.4, "front")],
)
def test_left_is_the_objects_own(azimuth_deg: float, name: str) -> None:
    assert view_name(azimuth_deg) == name


@given(st.floats(-1000, 1000))
def test_the_sector_is_the_nearest_direction(azimuth_deg: float) -> None:
    centre = 45.0 * VIEW_NAMES.index(view_name(azimuth_deg))
    difference = (azimuth_deg - centre + 180) % 360 - 180
    assert abs(difference) <= 22.5 + 1e-6


def test_braces_in_a_prompt_stay() -> None:
    prompts = directional_prompts("a {view} of {prompt}", "{prompt}, {view} view")
    assert prompts[0].text == "a {view} of {prompt}, front view"
    assert view_prompt("a {view}", "{prompt}, {view} view", "overhead") == "a {view}, overhead view"


def test_the_prompt_of_a_view_is_found_by_its_azimuth() -> None:
    prompts = Prompts(
        text="a cat", drawn="a cat", slug="a-cat", views=directional_prompts("a cat", "{view}: {prompt}")
    )
    assert prompts.at(359.0).text == "front: a cat"
    assert prompts.at(45.0).view == "front left"
