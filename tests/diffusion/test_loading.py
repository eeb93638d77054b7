"""Model folders: what is loaded, and the one sentence for each way in which they can be broken."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from placid_kedro.diffusion.loading import component_names, load_component
from placid_kedro.diffusion.saving import write_index
from placid_kedro.errors import ModelError

WEIGHTS = "diffusion_pytorch_model.safetensors"


def test_networks_come_frozen_in_float32(tiny_models: Any) -> None:
    folder = tiny_models.text_to_image
    assert component_names(folder) == ("scheduler", "text_encoder", "unet", "vae")
    stored = load_file(folder / "unet" / WEIGHTS)
    assert {value.dtype for value in stored.values()} == {torch.float16}
    unet = load_component(folder, "unet")
    assert not unet.training
    for name, parameter in unet.named_parameters():
        assert parameter.dtype == torch.float32 and not parameter.requires_grad
        assert torch.equal(parameter, stored[name].float())


def test_parts_without_a_class_are_no_components(stable_diffusion_folder: Path) -> None:
    names = component_names(stable_diffusion_folder)
    assert set(names) == {"scheduler", "text_encoder", "tokenizer", "unet", "vae"}
    with pytest.raises(ModelError, match="lists no component 'safety_checker'"):
        load_component(stable_diffusion_folder, "safety_checker")


@pytest.fixture
def damaged(tiny_models: Any, stable_diffusion_folder: Path, tmp_path: Path) -> Path:
    """A copy to break: the tiny UNet and, beside it, a text encoder of another library."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.text_to_image / "unet", folder / "unet")
    shutil.copytree(stable_diffusion_folder / "text_encoder", folder / "text_encoder")
    write_index(
        folder,
        "Test",
        {"unet": ("diffusers", "UNet2DConditionModel"), "text_encoder": ("transformers", "CLIPTextModel")},
    )
    return folder


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def drop_a_tensor(path: Path) -> None:
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path, metadata={"format": "pt"})


def reshape_a_tensor(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name, value in sorted(tensors.items()) if value.ndim == 2)
    tensors[name] = torch.zeros(3, 3)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(("component", "file"), [("unet", WEIGHTS), ("text_encoder", "model.safetensors")])
@pytest.mark.parametrize("damage", [remove, truncate, empty, drop_a_tensor, reshape_a_tensor])
def test_broken_weights(damaged: Path, component: str, file: str, damage: Callable[[Path], None]) -> None:
    load_component(damaged, component)
    damage(damaged / component / file)
    with pytest.raises(ModelError) as raised:
        load_component(damaged, component)
    said = str(raised.value)
    assert str(damaged / component) in said
    assert "\n" not in said
    if damage is drop_a_tensor:
        assert "lack" in said


def test_broken_folders(damaged: Path) -> None:
    (damaged / "unet" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be loaded as UNet2DConditionModel"):
        load_component(damaged, "unet")
    shutil.rmtree(damaged / "unet")
    with pytest.raises(ModelError, match="unet is missing"):
        load_component(damaged, "unet")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (["os", "system"], "from the library 'os'"),
        (["placid_kedro.errors", "ModelError"], "from the library"),
        (["diffusers", "NoSuchNetwork"], "no class NoSuchNetwork"),
        (["diffusers"], "lists no component"),
        ("diffusers", "lists no component"),
    ],
)
def test_an_index_cannot_name_just_anything(damaged: Path, make_index: Any, entry: Any, said: str) -> None:
    make_index(damaged, unet=entry)
    with pytest.raises(ModelError, match=said):
        load_component(damaged, "unet")


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_broken_index(damaged: Path, content: str | None) -> None:
    index = damaged / "model_index.json"
    index.unlink() if content is None else index.write_text(content)
    with pytest.raises(ModelError, match=r"model_index\.json"):
        load_component(damaged, "unet")


def test_the_written_index_is_diffusers(tmp_path: Path) -> None:
    write_index(tmp_path, "TextToImage", {"unet": ("diffusers", "UNet2DConditionModel")})
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index == {"_class_name": "TextToImage", "unet": ["diffusers", "UNet2DConditionModel"]}
