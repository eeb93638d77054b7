"""Checks before the work."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from placid_kedro.app.preflight import check_device, check_disk, check_models, is_local
from placid_kedro.config import ModelsParameters
from placid_kedro.errors import ModelError, ResourceError


def models(**sources: str) -> ModelsParameters:
    hub = dict.fromkeys(ModelsParameters.model_fields, "somebody/model")
    return ModelsParameters(**{**hub, **sources})


def test_hub_ids_are_not_looked_for_on_disk(tmp_path: Path) -> None:
    check_models(models(), tmp_path)
    assert [is_local(name) for name in ("./a", "/a", "~/a", "../a", "a/b", "gpt2")] == [True] * 4 + [
        False
    ] * 2


def test_local_folders_need_whole_weights(tmp_path: Path) -> None:
    source = models(text_to_image="./models/t2i")
    with pytest.raises(ModelError, match=r"'text_to_image' is not at .*models/t2i"):
        check_models(source, tmp_path)
    folder = tmp_path / "models" / "t2i"
    folder.mkdir(parents=True)
    for network in ("unet", "vae"):
        (folder / network).mkdir()
        (folder / network / "config.json").write_text("{}")
    whole = save({"weight": np.ones(3, np.float32)})
    (folder / "unet" / "weights.safetensors").write_bytes(whole)
    with pytest.raises(ModelError, match=r"'text_to_image' has no weights in .*/vae"):
        check_models(source, tmp_path)
    for damaged in (b"", whole[:-1], whole + b"more", b"PK\x03\x04 something else"):
        (folder / "vae" / "weights.safetensors").write_bytes(damaged)
        with pytest.raises(
            ModelError, match=r"vae/weights.safetensors of the model .* are damaged"
        ) as raised:
            check_models(source, tmp_path)
        assert "\n" not in str(raised.value)
    (folder / "vae" / "weights.safetensors").write_bytes(whole)
    with pytest.raises(ModelError, match=r"'text_to_image' has no model_index\.json"):
        check_models(source, tmp_path)
    (folder / "model_index.json").write_text("{}")
    check_models(source, tmp_path)
    # A scorer needs the names that it knows as well.
    with pytest.raises(ModelError, match=r"'scorer' has no names\.txt"):
        check_models(models(scorer="./models/t2i"), tmp_path)
    (folder / "names.txt").write_text("a cat\n")
    check_models(models(scorer="./models/t2i"), tmp_path)


def test_a_missing_gpu_is_named() -> None:
    check_device("auto")
    check_device("cpu")
    with pytest.raises(ResourceError, match="'cuda:99' was asked for"):
        check_device("cuda:99")
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="no GPU"):
            check_device("cuda")


def test_disk_space_and_permission(tmp_path: Path) -> None:
    check_disk(tmp_path / "not" / "there" / "yet", 1.0)
    with pytest.raises(ResourceError, match="MiB are free"):
        check_disk(tmp_path, 1e12)
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        check_disk(tmp_path / "file" / "below", 1.0)
