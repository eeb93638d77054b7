"""A GPU that is too small is named with what is needed and the preset that fits, before any work."""

from pathlib import Path
from typing import Any

import pytest

from placid_kedro.app import gpu_memory
from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.app.gpu_memory import PRESETS, check_gpu_memory, needed_gib, with_changes
from placid_kedro.config import Parameters
from placid_kedro.config.check import check_parameters
from placid_kedro.diffusion import memory
from placid_kedro.errors import ResourceError

CONF = Path(__file__).absolute().parents[2] / "conf"
STAGES = {"lora", "bsd_3dgs"}


@pytest.fixture(scope="module")
def paper() -> Parameters:
    loader = RunConfigLoader(
        str(CONF), env="paper", base_env="base", default_run_env="base", merge_strategy={"parameters": "soft"}
    )
    return check_parameters(loader["parameters"])


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one GiB in float32, and two GiB an image."""

    def distillation(configs: Any, precision: str, image_size: int, images: int) -> float:
        return (1.0 + 2.0 * images * (image_size / 512) ** 2) / (1 if precision == "float32" else 2)

    monkeypatch.setattr(memory, "distillation_gib", distillation)
    monkeypatch.setattr(
        memory, "lora_gib", lambda configs, precision, rank, batch: 4.0 if precision == "float32" else 2.0
    )


def test_the_largest_stage_counts(paper: Parameters) -> None:
    assert needed_gib(paper, {}, STAGES) == ("bsd_3dgs", 9.0)
    assert needed_gib(paper, {}, {"lora"}) == ("lora", 4.0)
    least = with_changes(paper, PRESETS[12])
    assert needed_gib(least, {}, STAGES) == ("lora", 2.0)
    assert needed_gib(least, {}, {"bsd_3dgs"}) == ("bsd_3dgs", 1.5)


@pytest.mark.parametrize(
    ("has", "said"),
    [
        (
            8.9,
            r"bsd_3dgs takes about 9\.0 GiB .* it has 8\.9; the preset for 24 GB takes about 4\.5: --params",
        ),
        (4.4, r"the preset for 12 GB takes about 2\.0: .*run\.precision=bf16,bsd_3dgs\.encoded_at_once=1"),
        (
            1.9,
            r"even the preset for 12 GB takes about 2\.0: lower bsd_3dgs\.image_size, or take .*run\.device=cpu",
        ),
    ],
)
def test_too_small_a_gpu_is_one_sentence(paper: Parameters, has: float, said: str) -> None:
    with pytest.raises(ResourceError, match=said) as raised:
        check_gpu_memory(paper, {}, STAGES, has)
    assert "\n" not in str(raised.value)


def test_a_gpu_that_is_large_enough_is_taken(paper: Parameters) -> None:
    check_gpu_memory(paper, {}, STAGES, 9.0)


def test_presets_change_what_they_name_and_nothing_else(paper: Parameters) -> None:
    changed = with_changes(paper, PRESETS[12])
    assert (changed.run.precision, changed.bsd_3dgs.encoded_at_once) == ("bf16", 1)
    back = with_changes(changed, {"run.precision": "float32", "bsd_3dgs.encoded_at_once": None})
    assert back == paper
    assert list(gpu_memory.PRESETS) == sorted(PRESETS, reverse=True)
