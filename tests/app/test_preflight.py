"""Checks before the work."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from placid_kedro.app.preflight import check_device, check_disk, check_models, check_runner, is_local
from placid_kedro.config import ModelsParameters
from placid_kedro.errors import ModelError, ParameterError, ResourceError
from placid_kedro.files import MANIFEST, verify_folder, write_manifest


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


def test_a_flipped_bit_in_weights_is_found(tmp_path: Path) -> None:
    """The header is right and the number is finite: only the hash tells."""
    folder = tmp_path / "t2i"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text("{}")
    (folder / "model_index.json").write_text("{}")
    weights = folder / "unet" / "weights.safetensors"
    weights.write_bytes(save({"weight": np.ones(3, np.float16)}))
    write_manifest(folder)
    check_models(models(text_to_image=str(folder)), tmp_path)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40  # the highest bit of the exponent
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.safetensors is damaged or was changed.*Restore it"):
        check_models(models(text_to_image=str(folder)), tmp_path)
    check_models(models(text_to_image=str(folder)), tmp_path, needed_models={"scorer"})


def test_the_models_that_ship_are_as_they_were_made() -> None:
    root = Path(__file__).parents[2] / "models"
    folders = [path for path in root.iterdir() if path.is_dir()]
    assert {path.name for path in folders} >= {"text_to_image", "zero123", "latent_plane", "scorer"}
    for folder in folders:
        verify_folder(folder)
        listed = json.loads((folder / MANIFEST).read_text())["files"]
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == {*listed, MANIFEST}


@pytest.mark.parametrize("name", ["ThreadRunner", "ParallelRunner"])
def test_runners_that_lose_metrics_are_refused(name: str) -> None:
    import kedro.runner

    with pytest.raises(ParameterError, match=f"The {name} does several stages at a time"):
        check_runner(str(getattr(kedro.runner, name)()))
    check_runner(str(kedro.runner.SequentialRunner()))
    check_runner("None")
