"""What is counted from configurations against what torch allocated for the same networks on an H200 (docs/gpu.md)."""

import json
from typing import Any

import pytest
import torch

from placid_kedro.diffusion.memory import can_be_counted, distillation_gib, lora_gib
from tools.model_folders import STABLE_DIFFUSION_21, make_autoencoder, make_unet

BESIDE = 1.2


@pytest.fixture(scope="module")
def configs() -> dict[str, dict[str, Any]]:
    """Of Stable Diffusion 2.1 without its text encoder, as `benchmarks/paper_scale.py` has it."""
    with torch.device("meta"):
        unet, autoencoder = (
            make_unet(STABLE_DIFFUSION_21.unet),
            make_autoencoder(STABLE_DIFFUSION_21.autoencoder),
        )
    return {
        "unet": {**unet.config, "_class_name": "UNet2DConditionModel"},
        "vae": {**autoencoder.config, "_class_name": "AutoencoderKL"},
    }


def test_a_step_takes_what_was_measured(configs: dict[str, Any]) -> None:
    """Of four images of 512 px in bfloat16, UNet and autoencoder alone: 7.83 GiB."""
    assert can_be_counted(configs)
    counted = distillation_gib(configs, "bf16", 512, 4) - BESIDE
    assert counted == pytest.approx(7.83, rel=0.05)
    # Twice the bytes a number; a quarter of the images beside the same weights, of 949.6 M numbers.
    assert distillation_gib(configs, "float32", 512, 4) - BESIDE == pytest.approx(2 * counted, rel=0.01)
    weights = 2 * 949_564_587 / 2**30
    one = distillation_gib(configs, "bf16", 512, 1) - BESIDE - weights
    assert one == pytest.approx((counted - weights) / 4, rel=0.02)


def test_fine_tuning_takes_more_for_more_views(configs: dict[str, Any]) -> None:
    """The weights once, and what the UNet keeps of each view."""
    weights = 2 * 949_564_587 / 2**30
    two, four = (lora_gib(configs, "bf16", 4, batch) - BESIDE - weights for batch in (2, 4))
    assert four == pytest.approx(2 * two, rel=0.02)
    assert 1.0 < two < 4.86 - weights  # measured with the encoding of the views


def test_the_embedded_networks_are_not_counted(tiny_models: Any) -> None:
    files = tiny_models.text_to_image.glob("*/config.json")
    assert not can_be_counted({path.parent.name: json.loads(path.read_text()) for path in files})
