"""Shap-E through diffusers' pipeline: what it draws, and where it lies in the world."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.shap_e.camera import create_pan_cameras
from torch import Tensor

from placid_kedro.diffusion.shap_e import load_shap_e, sample_field
from placid_kedro.errors import DataError, ModelError, NumericError
from placid_kedro.surface.shap_e_points import SHAP_E_TO_WORLD, points_of_field
from tools.shap_e_folder import SHAP_E, make_prior, make_projecting_text_encoder, make_renderer, write_shap_e

CPU = torch.device("cpu")
STEEP = 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shap_e(tmp_path_factory.mktemp("shap-e"))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(pipeline: Any, prompt: str = "a cactus", seed: int = 0) -> Any:
    return sample_field(pipeline, prompt, steps=2, guidance_scale=15.0, generator=seeded(seed))


def put_object(renderer: Any, surface: tuple[float, float, float], offset: float) -> None:
    """Weights by hand, whatever the prior draws: inside is where surface . x > offset, colours tell x, y and z.

    Far above zero SiLU changes nothing, so that each layer hands the three coordinates on.
    """
    far = 30.0
    for name, projection in renderer.params_proj.projections.items():
        layer = int(name.split("__")[2])
        columns = renderer.mlp.mlp[layer].weight.shape[1]
        projection.norm.weight.data.zero_()
        projection.norm.bias.data.zero_()
        projection.proj.bias.data = torch.eye(8, columns).flatten()
    for layer, linear in enumerate(renderer.mlp.mlp):
        linear.weight.data = torch.eye(*linear.weight.shape)
        linear.bias.data = torch.full_like(linear.bias, far if layer == 0 else 0.0)
    last = renderer.mlp.mlp[-1]
    last.weight.data.zero_()
    last.weight.data[0, :3] = torch.tensor(surface)
    last.bias.data[0] = -far * sum(surface) - offset
    last.weight.data[3:6, :3] = STEEP * torch.eye(3)
    last.bias.data[3:6] = -far * STEEP


def sides(colors: Tensor) -> Tensor:
    """Coordinates in Shap-E's cube, from the colours of `put_object`."""
    return torch.logit(colors.double()) / STEEP


def test_an_objects_points_lie_where_its_field_says(folder: Path) -> None:
    """A slab at Shap-E's front: 0.3 thick in its cube of edge 2, so 0.15 in the world's of edge 1, towards +x."""
    pipeline = load_shap_e(folder, CPU)
    put_object(pipeline.shap_e_renderer, (0.0, -1.0, 0.0), 0.7)
    cloud = points_of_field(draw(pipeline), 21, 4000, seeded(1))
    assert cloud.points.shape == cloud.colors.shape == (4000, 3)
    assert cloud.normals is not None
    low, high = cloud.points.amin(0), cloud.points.amax(0)
    torch.testing.assert_close(low, torch.tensor([0.35, -0.5, -0.5]), atol=5e-3, rtol=0)
    torch.testing.assert_close(high, torch.tensor([0.5, 0.5, 0.5]), atol=5e-3, rtol=0)
    x, y, z = (2 * cloud.points.double()).unbind(1)
    seen = (sides(cloud.colors) - torch.stack([y, -x, z], 1)).abs()
    assert float(seen.max()) < 1e-4
    inner = cloud.points[:, 0] < 0.355
    torch.testing.assert_close(
        cloud.normals[inner].mean(0), torch.tensor([-1.0, 0.0, 0.0]), atol=0.05, rtol=0
    )
    # Evenly by area: each of the two large faces is 1 of 2.6.
    assert float(inner.float().mean()) == pytest.approx(1 / 2.6, abs=0.03)


def test_the_front_is_what_shap_es_first_camera_sees() -> None:
    """diffusers' own turntable: it begins at azimuth 0 of the world, and looks down from above."""
    cameras = create_pan_cameras(4)
    first = SHAP_E_TO_WORLD.of_vectors(torch.as_tensor(cameras.origin[0]).float())
    assert float(first[0]) > 0 and float(first[2]) > 0
    assert abs(float(first[1])) < 1e-5
    points = torch.randn(5, 3)
    assert torch.equal(SHAP_E_TO_WORLD.inverse.of_vectors(SHAP_E_TO_WORLD.of_vectors(points)), points)


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


def test_an_object_that_is_nowhere_or_no_number_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    pipeline = load_shap_e(folder, CPU)
    put_object(pipeline.shap_e_renderer, (1.0, 0.0, 0.0), 2.0)
    with pytest.raises(DataError, match=r"drew nothing for this prompt: .* take another seed"):
        points_of_field(draw(pipeline), 5, 10, seeded(0))
    pipeline.shap_e_renderer.mlp.mlp[-1].bias.data[0] = torch.nan
    with pytest.raises(NumericError, match=r"Shap-E's object: .* not finite; .*models\.shap_e"):
        points_of_field(draw(pipeline), 5, 10, seeded(0))
    whole = write_shap_e(tmp_path / "half")
    (whole / "shap_e_renderer" / "diffusion_pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="shap_e_renderer"):
        load_shap_e(whole, CPU)


def test_the_real_sizes_are_those_of_the_published_files() -> None:
    """prior: 631 MB of half precision; renderer: 905 MB of float32; text encoder: 247 MB of half precision."""
    with torch.device("meta"):
        prior = make_prior(SHAP_E)
        encoder = make_projecting_text_encoder(SHAP_E, {"<|startoftext|>": 49406, "<|endoftext|>": 49407})
    projections = make_renderer(SHAP_E)
    for network, size, megabytes in ((prior, 2, 631), (projections, 4, 905), (encoder, 2, 247)):
        numbers = sum(parameter.numel() for parameter in network.parameters())
        assert size * numbers / 1e6 == pytest.approx(megabytes, abs=0.6)
