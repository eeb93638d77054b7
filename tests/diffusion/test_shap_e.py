"""Shap-E through diffusers' pipeline: what it draws."""

from pathlib import Path
from typing import Any

import pytest
import torch

from placid_kedro.diffusion.shap_e import load_shap_e, sample_field
from placid_kedro.errors import ModelError
from tools.shap_e_folder import SHAP_E, make_prior, make_projecting_text_encoder, make_renderer, write_shap_e

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shap_e(tmp_path_factory.mktemp("shap-e"))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(pipeline: Any, prompt: str = "a cactus", seed: int = 0) -> Any:
    return sample_field(pipeline, prompt, steps=2, guidance_scale=15.0, generator=seeded(seed))


def test_the_network_holds_what_diffusers_itself_puts_into_it(folder: Path) -> None:
    ours, theirs = (load_shap_e(folder, CPU) for _ in range(2))
    field = draw(ours)
    latents = theirs(
        "a cactus", num_inference_steps=2, guidance_scale=15.0, generator=seeded(0), output_type="latent"
    ).images
    before = {name: value.clone() for name, value in theirs.shap_e_renderer.mlp.state_dict().items()}
    theirs.shap_e_renderer.mesh_decoder.masks[:, 0] = True  # a triangle, of which a random table has none
    theirs.shap_e_renderer.decode_to_mesh(latents, CPU, grid_size=2)
    expected = theirs.shap_e_renderer.mlp.state_dict()
    assert any(not torch.equal(before[name], value) for name, value in expected.items())
    for name, value in field.network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_seed_and_prompt_decide(folder: Path) -> None:
    pipeline = load_shap_e(folder, CPU)
    points = torch.rand(50, 3, generator=seeded(0))
    state = torch.random.get_rng_state()
    one, same, other_seed, other_prompt = (
        draw(pipeline, *given).at(points)[0]
        for given in (("a cactus", 0), ("a cactus", 0), ("a cactus", 1), ("be", 0))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other_seed) and not torch.equal(one, other_prompt)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_steps_are_shown(folder: Path) -> None:
    from placid_kedro.progress import SilentProgress

    class Noted(SilentProgress):
        def track(self, iterable: Any, total: int | None = None, description: str = "") -> Any:
            given.append((total, description))
            return iter(iterable)

    given: list[tuple[int | None, str]] = []
    pipeline = load_shap_e(folder, CPU)
    sample_field(pipeline, "be", steps=3, guidance_scale=2.0, generator=seeded(0), progress=Noted())
    # Heun's method evaluates every step twice but the last.
    assert given == [(5, "Shap-E")]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    folder = write_shap_e(tmp_path / "shap-e")
    (folder / "shap_e_renderer" / "diffusion_pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="shap_e_renderer"):
        load_shap_e(folder, CPU)


def test_the_real_sizes_are_those_of_the_published_files() -> None:
    """prior: 631 MB of half precision; renderer: 905 MB of float32; text encoder: 247 MB of half precision."""
    with torch.device("meta"):
        prior = make_prior(SHAP_E)
        encoder = make_projecting_text_encoder(SHAP_E, {"<|startoftext|>": 49406, "<|endoftext|>": 49407})
    projections = make_renderer(SHAP_E)
    for network, size, megabytes in ((prior, 2, 631), (projections, 4, 905), (encoder, 2, 247)):
        numbers = sum(parameter.numel() for parameter in network.parameters())
        assert size * numbers / 1e6 == pytest.approx(megabytes, abs=0.6)
