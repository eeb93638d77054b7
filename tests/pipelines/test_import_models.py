"""The authors' Latent-Plane and Zero-1-to-3's checkpoint by one command, to where `--env paper` reads them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kedro.framework.session import KedroSession

from placid_kedro.diffusion.loading import load_component
from placid_kedro.errors import ModelError, ParameterError
from placid_kedro.latent_plane import LatentPlane

Sessions = Callable[..., KedroSession]


def authors_files(folder: Path) -> dict[str, str]:
    """The two weight files of a narrow plane, under the authors' names."""
    generator = torch.Generator().manual_seed(0)

    def linear(name: str, wide: int, narrow: int, bias: bool = True) -> dict[str, torch.Tensor]:
        tensors = {f"{name}.weight": torch.randn(narrow, wide, generator=generator) / wide**0.5}
        return {**tensors, f"{name}.bias": torch.zeros(narrow)} if bias else tensors

    def layers(width: int, inner: int) -> dict[str, torch.Tensor]:
        norm = {
            "transformer_layer_norm.weight": torch.ones(width),
            "transformer_layer_norm.bias": torch.zeros(width),
        }
        one = {}
        for name in ("to_q", "to_k", "to_v"):
            one |= linear(name, width, inner, bias=False)
        one |= linear("to_out.0", inner, width)
        return norm | {f"transformer.{layer}.{name}": one[name] for layer in (0, 1) for name in one}

    token = 8 + 2 * 63
    coarse = {
        "sigma_embeddings": torch.randn(8, generator=generator),
        **linear("latent_feature_ln", 16, 8),
        **linear("time_feature_ln", 32, 8),
        **linear("sigma_query_ln", 16, token),
        **linear("sigma_net", token, 1),
        **layers(token, 16),
    }
    torch.save(coarse, folder / "coarse.pt")
    torch.save(layers(16 + 2 * 63, 16), folder / "fine.pt")
    return {"coarse": str(folder / "coarse.pt"), "fine": str(folder / "fine.pt")}


def test_the_authors_plane_becomes_the_folder_that_env_paper_reads(session: Sessions, tmp_path: Path) -> None:
    files = authors_files(tmp_path)
    # No GPU is needed, whatever run.device says.
    opened = session("paper", import_models={"latent_plane": files}, tracking={"enabled": False})
    with opened:
        parameters = opened.load_context().config_loader["parameters"]
        opened.run(pipeline_names=["import_latent_plane"])
    folder = tmp_path / parameters["models"]["latent_plane"]
    plane = load_component(folder, "latent_plane")
    assert isinstance(plane, LatentPlane)
    for path, name, ours in (
        (files["coarse"], "sigma_net.weight", plane.sigma_head.weight),
        (files["fine"], "transformer.0.to_q.weight", plane.feature_transformer.layers[0].to_q.weight),
    ):
        # The folder is of half precision.
        torch.testing.assert_close(ours, torch.load(path, weights_only=True)[name], rtol=2**-11, atol=2**-24)


def test_zero123_is_read_where_it_is_written(session: Sessions, tmp_path: Path) -> None:
    context = session("paper").load_context()
    sources = context.config_loader["parameters"]["models"]["zero123"]
    assert (tmp_path / sources[0]).resolve() == Path(context.catalog.get("imported_zero123").path).resolve()


def test_files_are_asked_for_before_work(session: Sessions, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"import_models\.zero123 names no file"):
        session("paper").run(pipeline_names=["import_models"])
    with pytest.raises(ModelError, match=r"There is no file nowhere\.ckpt"):
        session("paper", import_models={"zero123": "nowhere.ckpt"}).run(pipeline_names=["import_zero123"])
    assert not (tmp_path / "data").exists()
