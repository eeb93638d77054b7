"""How environments and runtime parameters change the configuration."""

from pathlib import Path
from typing import Any

import pytest

from placid_kedro.app.config_loader import RunConfigLoader, merged
from placid_kedro.config.check import check_parameters
from placid_kedro.distillation.config import SDS
from placid_kedro.splats import UnseenParameters
from placid_kedro.surface.config import (
    CarveParameters,
    DensitySource,
    FileSource,
    FitParameters,
    IsoLevel,
    MissingPartsParameters,
    SphereSource,
)

CONF = Path(__file__).parents[2] / "conf"


def loader(env: str = "test", **parameters: Any) -> RunConfigLoader:
    return RunConfigLoader(
        str(CONF),
        env=env,
        base_env="base",
        default_run_env="local",
        runtime_params=parameters,
        merge_strategy={"parameters": "soft", "globals": "soft"},
    )


def test_merging_goes_group_by_group() -> None:
    base = {"a": 1, "group": {"b": 2, "inner": {"c": 3}}, "list": [1, 2]}
    changed = merged(base, {"group": {"inner": {"d": 4}}, "list": [5], "new": {"e": 6}})
    assert changed == {"a": 1, "group": {"b": 2, "inner": {"c": 3, "d": 4}}, "list": [5], "new": {"e": 6}}
    assert base["group"] == {"b": 2, "inner": {"c": 3}}


def test_another_kind_leaves_nothing_of_the_old_one() -> None:
    base = {"source": {"kind": "density", "level": {"kind": "density", "density": 15.0}}}
    assert merged(base, {"source": {"kind": "sphere"}}) == {"source": {"kind": "sphere"}}
    same = merged(base, {"source": {"kind": "density", "level": {"density": 3.0}}})
    assert same == {"source": {"kind": "density", "level": {"kind": "density", "density": 3.0}}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "sphere"}, SphereSource()),
        ({"kind": "file", "path": "a.ply"}, FileSource(path="a.ply")),
        (
            {"level": {"kind": "density", "density": 3.0}},
            DensitySource(
                level=IsoLevel(density=3.0),
                hole_tolerance=0.03,
                missing_parts=MissingPartsParameters(support=0.95, lacking=1.5, resolution=16),
                carve=CarveParameters(none_below=0.75, all_from=1.0),
                unseen=UnseenParameters(views=8, image_size=32, share=0.0),
                fit=FitParameters(steps=2, position=1e-4),
            ),
        ),
    ],
)
def test_the_points_can_come_from_elsewhere(source: dict[str, Any], expected: Any) -> None:
    parameters = check_parameters(loader(init={"source": source})["parameters"])
    assert parameters.init.source == expected
    assert parameters.init.points == 64  # of conf/test


def test_another_algorithm_and_other_timesteps() -> None:
    changes = {
        "bsd_3dgs": {"timesteps": {"kind": "uniform", "high": 0.5}},
        "distillation": {"algorithm": "sds"},
    }
    parameters = check_parameters(loader(**changes)["parameters"])
    assert (parameters.bsd_3dgs.timesteps.kind, parameters.bsd_3dgs.timesteps.high) == ("uniform", 0.5)
    assert isinstance(parameters.distillation.root, SDS)
    assert parameters.bsd_3dgs.steps == 4


def test_the_slug_is_that_of_the_changed_prompt() -> None:
    one = loader(prompt="a snowman", seed=3)
    assert one.slug == "a-snowman_seed3"
    assert one.runtime_params == {"prompt": "a snowman", "seed": 3}
    assert loader().slug == "a-teddy-bear"


@pytest.mark.parametrize(("named", "root"), [(None, "./models"), ("/somewhere/else", "/somewhere/else")])
def test_the_environment_may_name_the_folder_of_the_models(
    monkeypatch: pytest.MonkeyPatch, named: str | None, root: str
) -> None:
    monkeypatch.delenv("PLACID_KEDRO_MODELS", raising=False)
    if named:
        monkeypatch.setenv("PLACID_KEDRO_MODELS", named)
    assert loader()["parameters"]["models"]["scorer"] == f"{root}/scorer"
