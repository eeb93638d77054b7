"""Models that cannot serve are found from their configurations alone, before anything is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from placid_kedro.app.model_check import advice, check_models, check_room, look_at_models
from placid_kedro.app.preflight_command import report
from placid_kedro.cameras import ring
from placid_kedro.config import ModelsParameters
from placid_kedro.errors import ModelError, ParameterError, ResourceError
from placid_kedro.files import write_manifest
from placid_kedro.latent_plane.config import MultiviewParameters
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.training.export import save_latent_plane
from placid_kedro.models import Availability, Hub
from tools.mvdream_folder import write_mvdream
from tools.shap_e_folder import write_shap_e

EMBEDDED = ("text_to_image", "zero123", "latent_plane", "scorer")
SMALL_PLANE = {"token_channels": 8, "num_octaves": 2, "num_heads": 2, "samples_per_ray": 4}
PROJECT = Path(__file__).absolute().parents[2]


def parameters(models: Any, **changed: Any) -> ModelsParameters:
    given = {name: str(path) for name, path in vars(models).items()}
    return ModelsParameters.model_validate({**given, **changed})


def changed(folder: Path, target: Path, component: str, **values: Any) -> str:
    """A copy of a model whose component's configuration says something else."""
    shutil.copytree(folder, target)
    config = next((target / component).glob("*config.json"))
    config.write_text(json.dumps({**json.loads(config.read_text()), **values}))
    return str(target)


def test_the_embedded_models_can_serve() -> None:
    """The models that this project ships, through the same check as any other."""
    given = ModelsParameters.model_validate({name: f"./models/{name}" for name in EMBEDDED})
    found = check_models(given, PROJECT, EMBEDDED)
    assert [available.folder for available in found] == [PROJECT / "models" / name for name in EMBEDDED]


@pytest.mark.parametrize(
    ("role", "component", "values", "said"),
    [
        ("text_to_image", "unet", {"addition_embed_type": "text_time"}, "added conditions .* SDXL"),
        ("text_to_image", "unet", {"in_channels": 9}, "an inpainting model's"),
        ("text_to_image", "unet", {"out_channels": 8}, "also predicts a variance"),
        ("text_to_image", "unet", {"num_class_embeds": 10}, "class labels"),
        ("text_to_image", "unet", {"cross_attention_dim": 768}, "context 768 wide"),
        ("text_to_image", "scheduler", {"prediction_type": "flow"}, "predicts 'flow'"),
    ],
)
def test_what_cannot_serve_is_one_sentence(
    stable_diffusion_folder: Path,
    tmp_path: Path,
    role: str,
    component: str,
    values: dict[str, Any],
    said: str,
) -> None:
    source = changed(stable_diffusion_folder, tmp_path / "model", component, **values)
    given = ModelsParameters.model_validate({name: source for name in ModelsParameters.model_fields})
    with pytest.raises(ModelError, match=said) as raised:
        check_models(given, tmp_path, {role})
    assert "\n" not in str(raised.value) and source in str(raised.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ip_dim": 16}, "a picture beside the prompt, as ImageDream"),
        ({"camera_dim": 12}, "told 12 numbers of a camera, not 16"),
    ],
)
def test_relatives_of_mvdream_are_named(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    source = changed(write_mvdream(tmp_path / "mvdream"), tmp_path / "model", "unet", **values)
    given = ModelsParameters.model_validate({name: source for name in ModelsParameters.model_fields})
    with pytest.raises(ModelError, match=rf"cannot serve as mvdream: .*{said}.*; take ashawkey"):
        check_models(given, tmp_path, {"mvdream"})


def test_mvdream_serves_as_itself_and_as_nothing_else(stable_diffusion_folder: Path, tmp_path: Path) -> None:
    source = str(write_mvdream(tmp_path / "mvdream"))
    given = ModelsParameters.model_validate({name: source for name in ModelsParameters.model_fields})
    (found,) = check_models(given, tmp_path, {"mvdream"})
    assert found.folder == Path(source)
    with pytest.raises(ModelError, match=r"cannot serve as text_to_image: .*\(MultiViewUNetModel\)"):
        check_models(given, tmp_path, {"text_to_image"})
    other = given.model_copy(update={"mvdream": (str(stable_diffusion_folder),)})
    with pytest.raises(
        ModelError, match=r"cannot serve as mvdream: .*UNet2DConditionModel, which knows no cameras"
    ):
        check_models(other, tmp_path, {"mvdream"})


def test_shap_e_serves_as_itself_and_its_parts_must_agree(
    tmp_path: Path, stable_diffusion_folder: Path
) -> None:
    folder = write_shap_e(tmp_path / "shap-e")

    def check(source: object) -> list[Availability]:
        given = ModelsParameters.model_validate({name: str(source) for name in ModelsParameters.model_fields})
        return check_models(given, tmp_path, {"shap_e"})

    (found,) = check(folder)
    assert found.folder == folder and not any(name.startswith("renderer/") for name in found.files)
    with pytest.raises(ModelError, match="is no Shap-E: it has no prior"):
        check(stable_diffusion_folder)
    for component, values, said in (
        ("shap_e_renderer", {"d_latent": 8}, "prior draws 16 numbers of a row, its renderer takes 8"),
        ("prior", {"num_embeddings": 31}, "prior draws 31 rows, its renderer takes 32"),
        ("text_encoder", {"projection_dim": 7}, "wants a text 6 wide, its text_encoder gives 7"),
    ):
        with pytest.raises(ModelError, match=rf"cannot serve as shap_e: .*{said}; take openai/shap-e\."):
            check(changed(folder, tmp_path / component, component, **values))
    # That which draws from a picture has another encoder, and the first layout another name of the renderer.
    index = json.loads((folder / "model_index.json").read_text())
    index.pop("text_encoder")
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="is no Shap-E: it has no text_encoder"):
        check(folder)


def test_shap_e_is_looked_at_where_a_source_or_a_variant_names_it() -> None:
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(PROJECT)
    lost = {"models": {"shap_e": "./nowhere"}}
    named = {"init": {"source": {"kind": "shap_e"}}}
    for pipeline in ("generate", "init", "ablation"):
        lines, ready = report(PROJECT, "base", pipeline, lost)
        assert ready and not any("shap_e" in line for line in lines)
    for pipeline in ("generate", "init"):
        lines, ready = report(PROJECT, "base", pipeline, lost | named)
        assert not ready and any("'shap_e' cannot be had" in line for line in lines)
    in_variant = {"ablation": {"variants": ["full", "mine"], "known_variants": {"mine": named}}}
    lines, ready = report(PROJECT, "base", "ablation", lost | in_variant)
    assert not ready and any("'shap_e' cannot be had" in line for line in lines)


def test_a_plane_is_held_against_the_model_that_draws_the_views(tmp_path: Path) -> None:
    """Widths of MVDream's UNet by its own configuration, and four views of it."""
    models = {
        "mvdream": str(write_mvdream(tmp_path / "mvdream")),
        "zero123": "./nowhere",
        "text_to_image": "./nowhere",
        "scorer": "./nowhere",
    }
    four = views(views=4, source={"kind": "mvdream"}, front="drawn", elevation_deg=15.0, lower_ring=None)
    for widths, count, error in (
        ((64, 128), 4, None),
        ((16, 32), 4, ModelError),
        ((64, 128), 8, ParameterError),
    ):
        folder = tmp_path / f"plane-{widths[0]}-{count}"
        save_latent_plane(folder, LatentPlane(*widths, ring(count, 15.0, 1.5, 49.13, 64), **SMALL_PLANE))
        given = ModelsParameters.model_validate({**models, "latent_plane": str(folder)})
        if error is None:
            check_models(given, tmp_path, {"mvdream", "latent_plane"}, multiview=four)
        else:
            with pytest.raises(error, match="mvdream" if error is ModelError else "8 other views"):
                check_models(given, tmp_path, {"mvdream", "latent_plane"}, multiview=four)


def test_a_video_model_is_named(stable_diffusion_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion_folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["unet"] = ["diffusers", "UNet3DConditionModel"]
    (folder / "model_index.json").write_text(json.dumps(index))
    given = ModelsParameters.model_validate({name: str(folder) for name in ModelsParameters.model_fields})
    with pytest.raises(ModelError, match="a video model's"):
        check_models(given, tmp_path, {"text_to_image"})


def test_a_scorer_needs_its_names_and_a_role_its_parts(tiny_models: Any, tmp_path: Path) -> None:
    scorer = tmp_path / "scorer"
    shutil.copytree(tiny_models.scorer, scorer)
    (scorer / "names.txt").write_text("\n \n")
    with pytest.raises(ModelError, match=r"'scorer' has an empty names\.txt"):
        check_models(parameters(tiny_models, scorer=str(scorer)), tmp_path, {"scorer"})
    (scorer / "names.txt").unlink()
    with pytest.raises(ModelError, match=r"'scorer' has no names\.txt"):
        check_models(parameters(tiny_models, scorer=str(scorer)), tmp_path, {"scorer"})
    with pytest.raises(ModelError, match="is no scorer: it has no scorer"):
        check_models(parameters(tiny_models, scorer=str(tiny_models.latent_plane)), tmp_path, {"scorer"})


def test_a_flipped_bit_in_weights_is_found(stable_diffusion_folder: Path, tmp_path: Path) -> None:
    """The header is right and the number is finite: only the hash tells."""
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion_folder, folder)
    given = ModelsParameters.model_validate({name: str(folder) for name in ModelsParameters.model_fields})
    write_manifest(folder)
    check_models(given, tmp_path, {"text_to_image"})
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40  # the highest bit of the exponent
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"is damaged or was changed.*Restore it"):
        check_models(given, tmp_path, {"text_to_image"})


def test_every_model_is_looked_at_though_one_is_missing(tiny_models: Any, tmp_path: Path) -> None:
    checks = look_at_models(parameters(tiny_models, text_to_image="./nowhere"), tmp_path, EMBEDDED)
    assert [check.name for check in checks] == list(EMBEDDED)
    assert [check.problem is not None for check in checks] == [True, False, False, False]
    # A run that does not take it may start.
    check_models(parameters(tiny_models, text_to_image="./nowhere"), tmp_path, {"scorer"})


def test_advice_names_the_way_to_each_model(tmp_path: Path) -> None:
    ways: dict[str, Callable[[], str]] = {
        "pipeline pretrain": lambda: advice("scorer", ("./models/scorer",), tmp_path),
        "pipeline prepare": lambda: advice(
            "latent_plane", ("./data/paper/06_models/latent_plane",), tmp_path
        ),
        "pipeline import_latent_plane": lambda: advice(
            "latent_plane", ("./data/paper/06_models/latent_plane",), tmp_path
        ),
        "pipeline import_zero123": lambda: advice("zero123", ("./data/paper/06_models/zero123",), tmp_path),
        "init.source another kind": lambda: advice("shap_e", ("openai/shap-e",), tmp_path),
        "the network": lambda: advice("zero123", ("somebody/zero123",), tmp_path),
    }
    for words, say in ways.items():
        assert words in say() and say().endswith("=NAME") and "--params models." in say()
    assert "plane_preset=none" in advice("latent_plane", ("somebody/plane",), tmp_path)


def views(**changed: Any) -> MultiviewParameters:
    """Of stage `multiview`, as in conf/base."""
    values = OmegaConf.to_container(OmegaConf.load(PROJECT / "conf/base/parameters_multiview.yml"))
    return MultiviewParameters.model_validate({**values["multiview"], **changed})


def test_a_plane_is_held_against_the_views_that_are_wanted(tiny_models: Any, tmp_path: Path) -> None:
    check_models(parameters(tiny_models), tmp_path, EMBEDDED, multiview=views())
    with pytest.raises(
        ParameterError,
        match=r"8 other views than the 9 .* 8 at elevation 30, distance 1.5 and field of view 49.13",
    ):
        check_models(parameters(tiny_models), tmp_path, EMBEDDED, multiview=views(views=9))
    with pytest.raises(ParameterError, match="8 other views than the 8"):
        check_models(parameters(tiny_models), tmp_path, EMBEDDED, multiview=views(elevation_deg=20.0))
    with pytest.raises(ParameterError, match="8 other views"):
        check_models(parameters(tiny_models), tmp_path, EMBEDDED, multiview=views(distance=2.0))


def test_a_run_without_a_plane_needs_none() -> None:
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(PROJECT)
    lost = {"models": {"latent_plane": "./nowhere"}}
    without = {"multiview": {"plane_preset": "none"}, "init": {"source": {"kind": "sphere"}}}
    lines, ready = report(PROJECT, "base", "generate", lost)
    assert not ready and any("'latent_plane' cannot be had" in line for line in lines)
    lines, ready = report(PROJECT, "base", "generate", lost | without)
    assert ready and not any(line.startswith("latent_plane") for line in lines)


def test_more_than_the_disk_holds_is_refused(tmp_path: Path) -> None:
    def wanted(size: int) -> Availability:
        return Availability("a/b", None, None, {"unet": size}, {"unet": size})

    check_room([wanted(1)], Hub(cache=tmp_path))
    with pytest.raises(ResourceError, match=r"are to be fetched into .* are free"):
        check_room([wanted(2**62)], Hub(cache=tmp_path / "not" / "there"))


def test_the_command_says_of_each_model_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(PROJECT)
    lines, ready = report(PROJECT, "base", "generate", {})
    assert ready and lines[-1] == "This run can start."
    assert all(f"is at {PROJECT / 'models' / name}" in "\n".join(lines) for name in EMBEDDED)
    assert "mvdream" not in "\n".join(lines)  # it is looked at where a source names it
    lines, ready = report(PROJECT, "base", "generate", {"models": {"zero123": "./nowhere"}})
    assert not ready and any("'zero123' cannot be had" in line for line in lines)
    # Nothing of a run that takes no model is looked at.
    assert report(PROJECT, "base", "prompt", {"models": {"zero123": "./nowhere"}})[1]
