"""Nodes called directly: the branches that a plain `generate` does not take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import pytest
import torch
from omegaconf import OmegaConf
from pydantic import ValidationError

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.config import (
    InitParameters,
    ModelsParameters,
    MultiviewParameters,
    PromptProcessorParameters,
    ReferenceParameters,
    RunParameters,
)
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.errors import DataError
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.pipelines.init.nodes import place_gaussians
from placid_kedro.pipelines.loading import folder_of, start
from placid_kedro.pipelines.multiview.nodes import sample_object_views
from placid_kedro.pipelines.prompt.nodes import process_prompt
from placid_kedro.pipelines.reference.nodes import sample_reference
from placid_kedro.randomness import stage_generator
from placid_kedro.splats import Gaussians
from placid_kedro.surface.reference_config import FloodFillBackground, MaskParameters
from tools.shap_e_folder import write_shap_e

PROJECT = Path(__file__).absolute().parents[2]
RULES = PromptProcessorParameters(
    max_characters=200, scripts=("LATIN",), view_template="{prompt}, {view} view", known_words=None
)


def run(threads: int = 0) -> RunParameters:
    return RunParameters(device="cpu", threads=threads, report_seconds=1.0, free_disk_mb=0.0)


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the numbers of threads back."""
    torch_threads, numba_threads = torch.get_num_threads(), numba.get_num_threads()
    yield
    torch.set_num_threads(torch_threads)
    numba.set_num_threads(numba_threads)


@pytest.mark.usefixtures("threads")
def test_threads_are_set_up_and_down() -> None:
    most = numba.config.NUMBA_NUM_THREADS
    for wanted in (1, 1000, 1):
        assert start(run(wanted)) == torch.device("cpu")
        assert torch.get_num_threads() == wanted
        assert numba.get_num_threads() == min(wanted, most)
    start(run(0))
    assert torch.get_num_threads() == 1


def test_model_folders_are_relative_to_the_project(
    tiny_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(tiny_models.scorer.parent)
    assert folder_of("./models/scorer") == tiny_models.scorer.resolve()


@pytest.mark.parametrize("margin", [None, 0.1])
def test_the_reference_keeps_its_margin(tiny_models: Any, margin: float | None) -> None:
    parameters = ReferenceParameters(
        image="",
        image_margin=0.1,
        template="{prompt}",
        steps=1,
        guidance_scale=2.0,
        attempts=1,
        margin=margin,
        background=FloodFillBackground(),
        mask=MaskParameters(smallest=0.0, largest=1.0, border=1.0, pieces=10**6),
    )
    models = ModelsParameters(**tiny_models.parameters())
    reference = sample_reference(
        process_prompt("a cat", 0, models.text_to_image, RULES), 0, models, run(), parameters
    )
    assert reference.shape == (4, 64, 64)
    border = torch.cat([reference[3, :6].flatten(), reference[3, -6:].flatten()])
    assert bool(border.any()) == (margin is None)
    assert bool(reference[3].any())


def test_the_front_is_the_reference_or_drawn(tiny_models: Any) -> None:
    models = ModelsParameters(**tiny_models.parameters())
    reference = torch.rand(4, 64, 64, generator=torch.Generator().manual_seed(0))

    def views(**changed: Any) -> torch.Tensor:
        values = OmegaConf.to_container(OmegaConf.load(PROJECT / "conf/base/parameters_multiview.yml"))
        parameters = MultiviewParameters.model_validate({**values["multiview"], "steps": 1, **changed})
        prompts = process_prompt("a cat", 0, models.text_to_image, RULES)
        return sample_object_views(prompts, reference, 0, models, run(), parameters)[0].images

    kept, drawn = views(front="reference"), views(front="drawn")
    over_white = reference[3:] * reference[:3] + 1 - reference[3:]
    torch.testing.assert_close(kept[0], over_white)
    assert not torch.allclose(drawn[0], over_white, atol=0.05)
    assert torch.equal(kept[1:], drawn[1:])
    with pytest.raises(ValidationError, match="with mvdream give front: drawn"):
        views(front="reference", source={"kind": "mvdream"}, lower_ring=None)


def test_the_lower_ring_follows_the_first_and_leaves_it_as_it_is(tiny_models: Any) -> None:
    """Its views are those that the model draws from there alone, without the plane."""
    models = ModelsParameters(**tiny_models.parameters())
    reference = torch.rand(4, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = process_prompt("a cat", 0, models.text_to_image, RULES)
    values = OmegaConf.to_container(OmegaConf.load(PROJECT / "conf/base/parameters_multiview.yml"))

    def drawn(**changed: Any) -> tuple[PosedViews, torch.Tensor]:
        parameters = MultiviewParameters.model_validate({**values["multiview"], "steps": 2, **changed})
        views, field = sample_object_views(prompts, reference, 0, models, run(), parameters)
        return views, field["density"]

    lower = {"views": 3, "elevation_deg": 5.0, "first_azimuth_deg": 20.0, "weight": 0.5}
    alone, density = drawn(lower_ring=None)
    both, same_density = drawn(lower_ring=lower)
    assert (len(alone), len(both)) == (8, 11)
    assert torch.equal(both.images[:8], alone.images) and torch.equal(same_density, density)
    assert alone.weights is None and both.weights_or_ones().tolist() == [1.0] * 8 + [0.5] * 3
    assert both.azimuths_deg()[8:] == pytest.approx([20.0, 140.0, 260.0], abs=1e-3)
    height = both.cameras.positions[:, 2] / both.cameras.positions.norm(dim=1)
    torch.testing.assert_close(height[8:], torch.full((3,), 0.0871557), atol=1e-5, rtol=0)  # sin 5 degrees

    model = load_novel_view(folder_of(models.zero123), torch.device("cpu"))
    white = reference[3:] * reference[:3] + 1 - reference[3:]
    views = sample_views(
        model,
        Subject("", white, both.cameras[0]),
        both.cameras[8:],
        steps=2,
        guidance_scale=2.0,
        generator=stage_generator(0, "lower_ring"),
    )
    torch.testing.assert_close(both.images[8:], views.images)
    with pytest.raises(ValidationError, match="with mvdream give lower_ring: null"):
        drawn(front="drawn", source={"kind": "mvdream"})


def init(**source: Any) -> InitParameters:
    return InitParameters.model_validate({"source": source, "points": 50, "opacity": 0.3, "thickness": 0.3})


def placed(
    density: torch.Tensor, seed: int, parameters: InitParameters, shap_e: str = "./nowhere"
) -> Gaussians:
    prompts = process_prompt("a cat", seed, "./nowhere", RULES)
    return place_gaussians(prompts, {"density": density}, VIEWS, seed, shap_e, run(), parameters)


VIEWS = PosedViews(
    torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)), ring(8, 30.0, 1.5, 49.13, 16)
)


@pytest.mark.parametrize("kind", ["sphere", "random"])
def test_baselines_of_the_initialisation_look_at_nothing(kind: str) -> None:
    one, other = (placed(torch.full((8, 8, 8), value), 3, init(kind=kind)) for value in (0.0, 1.0))
    assert torch.equal(one.means, other.means)
    assert len(one) == 50
    assert float(one.means.abs().max()) <= 0.5
    torch.testing.assert_close(one.base_colors, torch.full((50, 3), 0.5))
    radii = one.means.norm(dim=1)
    assert torch.allclose(radii, torch.tensor(0.4)) == (kind == "sphere")


def test_another_methods_points_are_brought_into_the_cube(tmp_path: Path) -> None:
    import numpy as np
    import trimesh

    points = np.random.default_rng(0).uniform(3, 9, (30, 3))
    colors = np.tile(np.array([255, 0, 0, 255], np.uint8), (30, 1))
    trimesh.PointCloud(points, colors).export(tmp_path / "cloud.ply")
    source = init(kind="file", path=str(tmp_path / "cloud.ply"), longest_edge=0.8)
    gaussians = placed(torch.zeros(8, 8, 8), 0, source)
    extent = gaussians.means.amax(0) - gaussians.means.amin(0)
    assert float(extent.max()) == pytest.approx(0.8, abs=1e-5)
    torch.testing.assert_close(gaussians.base_colors, torch.tensor([[1.0, 0, 0]]).expand(30, 3))


def test_shap_es_object_is_brought_into_the_cube(tmp_path: Path) -> None:
    folder = str(write_shap_e(tmp_path / "shap-e"))
    source = init(kind="shap_e", steps=2, resolution=12, longest_edge=0.8)
    one, same, other = (placed(torch.zeros(8, 8, 8), seed, source, folder) for seed in (0, 0, 1))
    assert torch.equal(one.means, same.means) and not torch.equal(one.means, other.means)
    low, high = one.means.amin(0), one.means.amax(0)
    assert len(one) == 50 and float((high - low).max()) == pytest.approx(0.8, abs=1e-5)
    torch.testing.assert_close(low + high, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(one.opacities, torch.full((50,), 0.3))
    assert float(one.base_colors.std(0).min()) > 0
    assert bool((one.log_scales.amin(1) < one.log_scales.amax(1)).all())  # discs across the normals


def test_an_empty_field_is_one_sentence() -> None:
    source = init(kind="density", level={"kind": "density", "density": 15.0})
    with pytest.raises(DataError, match="No surface at density 15"):
        placed(torch.ones(8, 8, 8), 0, source)
