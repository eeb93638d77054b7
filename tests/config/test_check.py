"""Sentences about wrong parameters."""

import copy
from pathlib import Path
from typing import Any

import pytest

from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.config.check import check_parameters
from placid_kedro.errors import ParameterError

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    return RunConfigLoader(str(CONF), env="base", base_env="base", default_run_env="base")["parameters"]


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The base parameters with one value put in or, for `...`, taken out."""
    parameters = copy.deepcopy(base)
    *groups, name = path.split(".")
    group = parameters
    for part in groups:
        group = group[part]
    if value is ...:
        del group[name]
    else:
        group[name] = value
    return parameters


@pytest.mark.parametrize("env", ["base", "draft", "paper", "test"])
def test_every_environment_is_complete(env: str) -> None:
    loader = RunConfigLoader(
        str(CONF), env=env, base_env="base", default_run_env="base", merge_strategy={"parameters": "soft"}
    )
    assert check_parameters(loader["parameters"]).prompt == "a teddy bear"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("promt", "x", r"no parameter 'promt'; did you mean 'prompt'\?"),
        ("lora.ranks", 4, r"no parameter 'lora.ranks'; did you mean 'rank'\?"),
        ("lora.zzz", 4, r"there are rank, learning_rate, steps, batch_size\."),
        ("seed", ..., "'seed' is missing"),
        ("seed", "1", "'seed' is '1', but it should be a valid integer"),
        ("seed", True, "'seed' is True"),
        ("lora", 3, "should be a group of parameters"),
        ("lora.rank", 0, "greater than 0"),
        ("lora.learning_rate", float("nan"), "'lora.learning_rate' is nan"),
        ("run.device", "gpu", "'run.device' is 'gpu'"),
        ("distillation.algorithm", "sdx", "'distillation.algorithm' is 'sdx', but it should be one of 'sds'"),
        ("distillation.lamb", 3, r"no parameter 'distillation.lamb'; did you mean 'lam'\?"),
        ("bsd_3dgs.timesteps.hig", 1.0, r"no parameter 'bsd_3dgs.timesteps.hig'; did you mean 'high'\?"),
        ("bsd_3dgs.cameras.distance", [2.0, 1.0], "lower bound first"),
        ("experiment", "../x", r"'experiment' is '\.\./x', but it should match pattern"),
        ("tracking.experiment", "", "is '', but it should have at least 1 character"),
        ("ablation.variants", "full", r"is 'full', but it should be a list\."),
        ("ablation.variants", [], r"is \[\], but it should have at least 1 item, not 0\."),
        ("ablation.workers", 1_000_000, "less than or equal to 1024"),
        ("bsd_3dgs.cameras.distance", [1.0], r"'bsd_3dgs\.cameras\.distance\.1' is missing"),
    ],
)
def test_one_wrong_parameter_is_one_sentence(base: dict[str, Any], path: str, value: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said) as raised:
        check_parameters(changed(base, path, value))
    assert "\n" not in str(raised.value)


def test_several_wrong_parameters_are_counted(base: dict[str, Any]) -> None:
    wrong = changed(changed(base, "seed", -1), "lora.rank", -1)
    with pytest.raises(ParameterError, match=r"\(1 more parameter is wrong\.\)"):
        check_parameters(wrong)


def test_another_algorithm_brings_its_own_parameters(base: dict[str, Any]) -> None:
    parameters = changed(base, "distillation.algorithm", "sds")
    parameters["distillation"]["guidance_scale"] = 30.0
    assert check_parameters(parameters).distillation.root.guidance_scale == 30.0
    with pytest.raises(ParameterError, match=r"'distillation\.guidance_scale'"):
        check_parameters(changed(base, "distillation.guidance_scale", 30.0))


def test_models_are_frozen(base: dict[str, Any]) -> None:
    parameters = check_parameters(base)
    with pytest.raises(ValueError, match="frozen"):
        parameters.lora.rank = 8  # type: ignore[misc]
