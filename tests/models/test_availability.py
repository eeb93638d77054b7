"""Where models come from, through the real client of the hub, against a hub on this machine."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from placid_kedro.diffusion.loading import load_component, model_folder
from placid_kedro.errors import ModelError
from placid_kedro.models import Hub, find_model, local_folder, obtain_model
from tests.hub import LocalHub, commit_of, serve
from tools.shap_e_folder import write_shap_e

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def published(stable_diffusion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with everything that public repositories hold beside it."""
    folder = tmp_path_factory.mktemp("published")
    shutil.copytree(stable_diffusion_folder, folder, dirs_exist_ok=True)
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    for extra in (
        "v2-1_512-ema-pruned.safetensors",
        "safety_checker/config.json",
        "safety_checker/model.safetensors",
        "feature_extractor/preprocessor_config.json",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "text_encoder/pytorch_model.bin",
        "README.md",
    ):
        (folder / extra).parent.mkdir(exist_ok=True)
        (folder / extra).write_bytes(b"not wanted")
    return folder


@pytest.fixture
def hub(published: Path, tmp_path: Path) -> Iterator[tuple[LocalHub, Hub]]:
    with serve(LocalHub({"somebody/model": published})) as local:
        yield local, Hub(endpoint=local.address, cache=tmp_path / "cache")


def variant_of(folder: Path, target: Path, change: Callable[[Path], None]) -> Path:
    shutil.copytree(folder, target)
    for path in sorted(target.rglob("*.safetensors")):
        change(path)
    return target


def only_fp16(path: Path) -> None:
    tensors = {name: value.half() for name, value in load_file(path).items()}
    path.unlink()
    save_file(tensors, path.with_suffix(".fp16.safetensors"), metadata={"format": "pt"})


def only_pickles(path: Path) -> None:
    stem = "pytorch_model" if path.stem == "model" else path.stem
    torch.save(load_file(path), path.with_name(f"{stem}.bin"))
    path.unlink()


def only_half_pickles(path: Path) -> None:
    stem = "pytorch_model" if path.stem == "model" else path.stem
    torch.save(
        {name: value.half() for name, value in load_file(path).items()}, path.with_name(f"{stem}.fp16.bin")
    )
    path.unlink()


def split(path: Path) -> None:
    tensors, parts = load_file(path), {}
    for index, name in enumerate(sorted(tensors)):
        file = f"{path.stem}-0000{1 + index % 2}-of-00002.safetensors"
        parts.setdefault(file, {})[name] = tensors[name]
    path.unlink()
    for file, part in parts.items():
        save_file(part, path.with_name(file), metadata={"format": "pt"})
    where = {name: file for file, part in parts.items() for name in part}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


@pytest.mark.parametrize("change", [only_fp16, only_pickles, only_half_pickles, split])
@pytest.mark.parametrize("place", ["folder", "hub"])
def test_other_files_than_plain_safetensors_give_the_same_networks(
    stable_diffusion_folder: Path, tmp_path: Path, change: Callable[[Path], None], place: str
) -> None:
    folder = variant_of(stable_diffusion_folder, tmp_path / "variant", change)
    if place == "folder":
        found = find_model(str(folder), tmp_path)
        assert found.folder == folder and not found.to_fetch
    else:
        with serve(LocalHub({"some/variant": folder})) as local:
            client = Hub(endpoint=local.address, cache=tmp_path / "cache")
            folder = obtain_model(find_model("some/variant", tmp_path, client), client)
    for component in ("unet", "text_encoder"):
        expected = load_component(stable_diffusion_folder, component).state_dict()
        for name, value in load_component(folder, component).state_dict().items():
            assert value.dtype == expected[name].dtype
            tolerance = 1e-3 if "half" in change.__name__ or "fp16" in change.__name__ else 0
            torch.testing.assert_close(value, expected[name], atol=tolerance, rtol=tolerance)


class _Payload:
    def __reduce__(self) -> Any:
        return print, ("the file's code was run",)


def test_code_in_a_pickle_is_not_run(
    stable_diffusion_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = variant_of(stable_diffusion_folder, tmp_path / "model", only_pickles)
    for file, component in (
        ("unet/diffusion_pytorch_model.bin", "unet"),
        ("text_encoder/pytorch_model.bin", "text_encoder"),
    ):
        torch.save({"conv_in.weight": _Payload()}, folder / file)
        with pytest.raises(ModelError, match="cannot be loaded"):
            load_component(folder, component)
    assert "was run" not in capsys.readouterr().out


def test_only_what_is_needed_is_fetched_and_only_once(
    hub: tuple[LocalHub, Hub], stable_diffusion_folder: Path, tmp_path: Path
) -> None:
    local, client = hub
    found = find_model("somebody/model", tmp_path, client)
    assert found.folder is None
    whole = {
        p.relative_to(stable_diffusion_folder).as_posix(): p.stat().st_size
        for p in stable_diffusion_folder.rglob("*")
        if p.is_file()
    }
    index = "model_index.json"
    assert {k: v for k, v in found.files.items() if k != index} == {
        k: v for k, v in whole.items() if k != index
    }
    assert set(found.to_fetch) == set(whole) - {index}
    assert local.served == [index]
    folder = obtain_model(found, client)
    assert sorted(local.served) == sorted(whole)
    assert found.pinned == f"somebody/model@{commit_of('somebody/model')}"
    load_component(folder, "unet")
    local.served.clear()
    again = find_model("somebody/model", tmp_path, client)
    assert (again.folder, again.pinned) == (folder, found.pinned)
    assert local.served == []


def test_of_shap_e_one_renderer_and_the_halves_are_fetched(tmp_path: Path) -> None:
    """Its repository holds the renderer twice, and pickles beside the half precision."""
    folder = write_shap_e(tmp_path / "published")
    for extra in ("prior/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin", "README.md"):
        (folder / extra).write_bytes(b"not wanted")
    with serve(LocalHub({"openai/shap-e": folder})) as local:
        client = Hub(endpoint=local.address, cache=tmp_path / "cache")
        found = find_model("openai/shap-e", tmp_path, client)
        obtained = obtain_model(found, client)
    assert found.pinned == f"openai/shap-e@{commit_of('openai/shap-e')}"
    weights = {name for name in local.served if name.endswith((".bin", ".safetensors"))}
    assert weights == {
        "prior/diffusion_pytorch_model.fp16.safetensors",
        "shap_e_renderer/diffusion_pytorch_model.bin",
        "text_encoder/model.fp16.safetensors",
    }
    assert not (obtained / "renderer").exists()


def test_what_was_fetched_needs_no_network_and_the_rest_is_fetched_later(
    published: Path, tmp_path: Path
) -> None:
    local = LocalHub({"somebody/model": published})
    with serve(local):
        client = Hub(endpoint=local.address, cache=tmp_path / "cache")
        found = find_model("somebody/model", tmp_path, client)
        client.fetch(found.repository, ["unet/config.json", UNET])  # an interrupted fetch
        found = find_model("somebody/model", tmp_path, client)
        assert UNET not in found.to_fetch and "vae/config.json" in found.to_fetch
    with pytest.raises(ModelError, match=r"somebody/model cannot be fetched from the hub \(Connect"):
        find_model("somebody/model", tmp_path, client)
    with serve(local):
        client = Hub(endpoint=local.address, cache=tmp_path / "cache")
        folder = obtain_model(find_model("somebody/model", tmp_path, client), client)
    assert find_model("somebody/model", tmp_path, client).folder == folder


def test_revisions_are_pinned(published: Path, stable_diffusion_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(stable_diffusion_folder, other)
    (other / "unet" / "config.json").write_text((other / "unet" / "config.json").read_text() + "\n\n")
    local = LocalHub({"somebody/model": published, "somebody/model@v2": other})
    with serve(local):
        client = Hub(endpoint=local.address, cache=tmp_path / "cache")
        for wanted in ("somebody/model@v2", f"somebody/model@{commit_of('somebody/model@v2')}"):
            found = find_model(wanted, tmp_path, client)
            assert found.pinned == f"somebody/model@{commit_of('somebody/model@v2')}"
            assert (obtain_model(found, client) / "unet/config.json").read_bytes() == (
                other / "unet/config.json"
            ).read_bytes()
        with pytest.raises(ModelError, match="somebody/model has no revision v3"):
            find_model("somebody/model@v3", tmp_path, client)


def test_the_first_that_can_be_had(hub: tuple[LocalHub, Hub], published: Path, tmp_path: Path) -> None:
    local, client = hub
    broken = tmp_path / "broken"
    shutil.copytree(published, broken)
    shutil.rmtree(broken / "vae")
    local.repositories |= {"a/half": broken, "a/gated": published, "a/single-file": tmp_path / "single"}
    local.gated.add("a/gated")
    (tmp_path / "single").mkdir()
    (tmp_path / "single" / "model.ckpt").write_bytes(b"0")
    sources = ("./nowhere", "a/gone", "a/gated", "a/half", "a/single-file", "not a name", "somebody/model")
    found = find_model(sources, tmp_path, client)
    assert found.source == "somebody/model"
    said = [
        "no folder",
        "no public model a/gone",
        "a/gated is gated",
        "a/half on the hub lacks",
        "a/single-file on",
        "'not a name'",
    ]
    assert len(found.passed_over) == len(said)
    assert all(words in reason for words, reason in zip(said, found.passed_over, strict=True))
    assert "weights (a .safetensors or .bin file) in vae" in found.passed_over[3]
    (tmp_path / "here").mkdir()
    with pytest.raises(ModelError, match=r"holds no model \(model_index.json is missing"):
        find_model(("./here", *sources), tmp_path, client)
    with pytest.raises(ModelError) as raised:
        find_model(sources[:-1], tmp_path, client)
    assert all(words in str(raised.value) for words in said)


def test_without_a_network_the_hub_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info", lambda self, name, **given: asked.append(name) or 1 / 0
    )
    with pytest.raises(ModelError, match=r"a/b cannot be fetched .*; c/d is not in the hub's cache"):
        find_model(["a/b", "c/d"], tmp_path, Hub(cache=tmp_path))
    assert asked == ["a/b"]


def test_local_sources(tiny_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").symlink_to(tiny_models.scorer.parent)
    expected = tiny_models.scorer.resolve()
    assert model_folder("./models/scorer", tmp_path) == expected
    assert model_folder(["./models/none", "./models/scorer"], tmp_path) == expected
    assert model_folder(str(tiny_models.scorer), Path("/elsewhere")) == expected
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_folder("~/models/scorer", Path("/elsewhere")) == expected
    with pytest.raises(ModelError, match="holds no model"):
        model_folder("./models", tmp_path)
    with pytest.raises(ModelError, match=r"there is no folder .*nowhere"):
        model_folder("./nowhere", tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (UNET, None, r"lacks weights \(a .safetensors or .bin file\) in unet"),
        ("unet/config.json", None, "lacks config.json in unet"),
        ("scheduler/scheduler_config.json", None, "lacks scheduler_config.json in scheduler"),
        ("tokenizer/merges.txt", None, "lacks vocab.json and merges.txt in tokenizer"),
        (UNET, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS"),
        (UNET, b"", "are damaged"),
        (UNET, b"{}", "are damaged"),
    ],
)
def test_what_a_folder_lacks(
    stable_diffusion_folder: Path, tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion_folder, folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=said) as raised:
        find_model(str(folder), tmp_path)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


def test_a_pickle_cut_short_is_found(stable_diffusion_folder: Path, tmp_path: Path) -> None:
    folder = variant_of(stable_diffusion_folder, tmp_path / "model", only_pickles)
    path = folder / "unet/diffusion_pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"diffusion_pytorch_model.bin are damaged"):
        find_model(str(folder), tmp_path)


def test_split_weights_need_every_part(stable_diffusion_folder: Path, tmp_path: Path) -> None:
    folder = variant_of(stable_diffusion_folder, tmp_path / "model", split)
    (folder / "unet/diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks weights"):
        find_model(str(folder), tmp_path)


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ("./model", "model"),
        (["./nothing", "./model"], "model"),
        (["owner/name", "./model"], None),
        ("./nothing", None),
        ("./file", None),
    ],
)
def test_a_local_folder_is_known_before_anything_is_fetched(
    tmp_path: Path, sources: str | list[str], found: str | None
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "file").write_text("no folder")
    assert local_folder(sources, tmp_path) == (tmp_path / found if found else None)
