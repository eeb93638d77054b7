"""The text after `--params`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from placid_kedro.app.runtime_params import parse_params
from placid_kedro.errors import ParameterError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("prompt=a teddy bear", {"prompt": "a teddy bear"}),
        ("prompt=a red, wooden chair,seed=3", {"prompt": "a red, wooden chair", "seed": 3}),
        ("prompt=a box: open, yes", {"prompt": "a box: open, yes"}),
        ("prompt=1984", {"prompt": "1984"}),
        ("prompt=no # comment", {"prompt": "no # comment"}),
        ("distillation.algorithm=sds", {"distillation": {"algorithm": "sds"}}),
        ("seed=1,seed=2", {"seed": 2}),
        ("lora.rank=8, lora.steps=5", {"lora": {"rank": 8, "steps": 5}}),
        (
            "bsd_3dgs.cameras.distance=[1.0,2.0],seed=1",
            {"bsd_3dgs": {"cameras": {"distance": [1.0, 2.0]}}, "seed": 1},
        ),
    ],
)
def test_reads_items(text: str, expected: dict[str, Any]) -> None:
    assert parse_params(text) == expected


@pytest.mark.parametrize("text", ["blue", "=3", "a teddy bear,seed=1", "seed=[1"])
def test_refuses_what_has_no_name_or_no_meaning(text: str) -> None:
    with pytest.raises(ParameterError) as raised:
        parse_params(text)
    assert "\n" not in str(raised.value)


@given(st.text().filter(lambda text: "=" not in text and "\\" not in text))
def test_any_prompt_reaches_the_configuration_as_it_was_typed(prompt: str) -> None:
    configuration = OmegaConf.create(parse_params(f"prompt={prompt}"))
    assert OmegaConf.to_container(configuration, resolve=True) == {"prompt": prompt}
