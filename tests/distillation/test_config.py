import subprocess
import sys

import pytest
from pydantic import BaseModel, ValidationError

from placid_kedro.distillation import DistillationConfig
from placid_kedro.distillation.config import BSD, SDS


@pytest.mark.parametrize(
    "name", ["sds", "csd", "vsd", "ism", "ssd", "nfsd", "bsd", "vsd_mgda", "fixed_ratio"]
)
def test_each_algorithm_is_chosen_by_its_name_alone(name):
    assert DistillationConfig.model_validate({"algorithm": name}).root.algorithm == name


def test_bsd_is_the_default():
    assert DistillationConfig().root == BSD()
    assert DistillationConfig.model_validate({"lam": 5}).root == BSD(lam=5)
    assert DistillationConfig(algorithm="sds", guidance_scale=7.5).root == SDS(guidance_scale=7.5)


def test_nests_in_a_larger_parameter_model_and_dumps_flat():
    class Stage(BaseModel):
        distillation: DistillationConfig = DistillationConfig()

    stage = Stage.model_validate({"distillation": {"algorithm": "bsd", "preset": "auto"}})
    assert stage.distillation.root == BSD(preset="auto")
    dumped = stage.model_dump()["distillation"]
    assert (dumped["algorithm"], dumped["preset"]) == ("bsd", "auto")
    assert Stage.model_validate(stage.model_dump()) == stage


@pytest.mark.parametrize(
    ("preset", "lam", "signal_power", "noise_power", "scale"),
    [
        ("paper", 25.0, 2, 0, 1),
        ("sds_weighted", 25.0, 0, 3, 1),
        ("official_3d", 15.0, 1, 0, 1),
        ("official_2d", 1 / 0.018, 1, 0, 0.018),
        ("auto", 0.8, 0, 1, 0.025),
    ],
)
def test_what_is_left_out_is_the_presets_and_is_shown(preset, lam, signal_power, noise_power, scale):
    dumped = DistillationConfig.model_validate({"preset": preset}).model_dump()
    weighting = {"signal_power": signal_power, "noise_power": noise_power, "scale": pytest.approx(scale)}
    assert dumped == {"algorithm": "bsd", "preset": preset, "lam": pytest.approx(lam), "weighting": weighting}
    changed = DistillationConfig.model_validate({"preset": preset, "lam": 5.0, "weighting": {"scale": 2.0}})
    assert changed.model_dump()["lam"] == 5.0
    assert changed.root.weighting.scale == 2.0


def test_changed_defaults_belong_to_one_algorithm_and_yield_to_what_is_given():
    defaults = {"bsd": {"preset": "sds_weighted", "lam": 5.0}}
    assert DistillationConfig.model_validate({"defaults": defaults}).root == BSD(preset="sds_weighted", lam=5)
    given = {"defaults": defaults, "preset": "auto"}
    assert DistillationConfig.model_validate(given).root == BSD(preset="auto", lam=5)
    assert DistillationConfig.model_validate({"algorithm": "sds", "defaults": defaults}).root == SDS()


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"algorithm": "bsd", "lam": 0}, "lam"),
        ({"algorithm": "bsd", "lam": -1}, "greater than 0"),
        ({"algorithm": "bsd", "lam": float("nan")}, "lam"),
        ({"algorithm": "vsd_mgda", "lam": -3}, "lam"),
        ({"algorithm": "sds", "lam": 5}, "lam"),
        ({"algorithm": "sds", "guidance_scale": -1}, "guidance_scale"),
        ({"algorithm": "bsd", "preset": "offical_3d"}, "preset"),
        ({"algorithm": "dds"}, "dds"),
        ({"algorithm": "sds", "defaults": {"dds": {}}}, "dds"),
        ({"algorithm": "vsd", "lora": {"rank": 0}}, "rank"),
    ],
)
def test_refuses_and_names_the_parameter(parameters, named):
    with pytest.raises(ValidationError, match=named):
        DistillationConfig.model_validate(parameters)


def test_is_frozen():
    config = DistillationConfig()
    with pytest.raises(ValidationError):
        config.root = SDS()
    with pytest.raises(ValidationError):
        config.root.lam = 3


def test_parameters_do_not_load_torch():
    code = "import sys, placid_kedro.distillation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_function_balance_is_not_shadowed_by_a_module():
    import placid_kedro.distillation.distiller  # noqa: F401  (loads every submodule)
    from placid_kedro.distillation import balance

    assert callable(balance)
