"""What is counted from configurations against what torch allocated for the same networks on an H200 (docs/gpu.md)."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from placid_kedro.diffusion.lora import fine_tune
from placid_kedro.diffusion.memory import can_be_counted, distillation_gib, lora_gib
from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image
from tools.model_folders import SHRUNK_21, STABLE_DIFFUSION_21, make_autoencoder, make_unet

BESIDE = 1.2
GIB = 2**30


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
    assert two == pytest.approx(1.85, abs=0.02)


def test_the_count_of_fine_tuning_is_what_autograd_keeps(stable_diffusion_folder: Path) -> None:
    """Of real steps on the CPU, through `fine_tune`, in a UNet of Stable Diffusion's kind and other sizes."""
    sizes = {**SHRUNK_21.unet, "block_out_channels": (32, 64), "norm_num_groups": 32}
    unet = make_unet(sizes).eval().requires_grad_(False)
    model = replace(load_text_to_image(stable_diffusion_folder, torch.device("cpu")), unet=unet)
    shrunk = {
        "unet": {**unet.config, "_class_name": "UNet2DConditionModel"},
        "vae": {**model.autoencoder.config, "_class_name": "AutoencoderKL"},
    }
    kept, said = {}, {}
    for batch in (2, 6):
        kept[batch] = bytes_kept_by(lambda batch=batch: tune(model, batch))
        said[batch] = lora_gib(shrunk, "float32", 4, batch) * GIB
    # Of views alone: weights are counted apart.
    assert said[6] - said[2] == pytest.approx(kept[6] - kept[2], rel=0.03)


def tune(model: TextToImage, batch: int) -> object:
    return fine_tune(
        model,
        torch.rand(batch, 3, 64, 64),
        ["be"] * batch,
        rank=4,
        learning_rate=1e-3,
        steps=1,
        batch_size=batch,
        generator=torch.Generator().manual_seed(0),
    )


def bytes_kept_by(action: Callable[[], object]) -> int:
    """Of all that a backward pass was to find again while the action went on."""
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        action()
    return sum(storage.nbytes() for storage in kept.values())


class LiveBytes(TorchDispatchMode):
    """The most bytes that the tensors made inside it held at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and not func.is_view:
                storage = tensor.untyped_storage()
                self._live[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._live = {key: one for key, one in self._live.items() if not one[0].expired()}
        self.most = max(self.most, sum(size for _, size in self._live.values()))
        return result


def test_encoding_the_views_takes_less_than_a_step(configs: dict[str, Any]) -> None:
    """Two views of 512 px at a time: followed tensor by tensor, as each comes and goes. Eight at once took more."""
    with torch.device("meta"):
        autoencoder = make_autoencoder(STABLE_DIFFUSION_21.autoencoder).bfloat16()
    peaks = {}
    for views in (2, 8):
        pixels = torch.empty(views, 3, 512, 512, device="meta", dtype=torch.bfloat16)
        with torch.no_grad(), LiveBytes() as live:
            autoencoder.encode(pixels)
        peaks[views] = live.most / GIB
    kept = lora_gib(configs, "bf16", 4, 2) - BESIDE - 2 * 949_564_587 / GIB
    assert 2 * peaks[2] < kept < peaks[8]


def test_the_embedded_networks_are_not_counted(tiny_models: Any) -> None:
    files = tiny_models.text_to_image.glob("*/config.json")
    assert not can_be_counted({path.parent.name: json.loads(path.read_text()) for path in files})
