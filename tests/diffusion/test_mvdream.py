"""MVDream: what it is told of the cameras, that its views see each other, and its sampling written out."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from diffusers.models.attention_processor import Attention
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from placid_kedro.cameras import mvdream_camera, orbit, ring
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.mvdream import MVDream, four_views, load_mvdream
from placid_kedro.diffusion.mvdream.unet import CrossViewAttention
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.diffusion.text_to_image import load_text_encoder
from placid_kedro.errors import ModelError, ParameterError
from placid_kedro.latent_plane import LatentPlane
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.surface.extraction import density_grid
from tools.model_folders import SHRUNK_MVDREAM
from tools.mvdream_folder import make_mvdream_unet, write_mvdream, write_mvdream_unet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mvdream(tmp_path_factory.mktemp("mvdream"))


@pytest.fixture(scope="module")
def model(folder: Path) -> MVDream:
    return load_mvdream(folder, CPU)


def batch(objects: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents, context and cameras of the four views of some objects."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((4 * objects, 4, 8, 8), (4 * objects, 77, 12), (4 * objects, 16))
    latents, context, cameras = (torch.randn(shape, generator=generator) for shape in shapes)
    return latents, context, cameras


@torch.no_grad()
def predicted(unet: Any, latents: torch.Tensor, context: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
    output: torch.Tensor = unet(latents, 500, encoder_hidden_states=context, class_labels=cameras).sample
    return output


def test_cameras_are_told_as_in_its_training() -> None:
    """Blender's matrix, written out for azimuth a (0 at -y, counter-clockwise) and elevation e, at distance 1."""
    a, e = math.radians(70.0), math.radians(20.0)
    right = [math.cos(a), math.sin(a), 0.0]
    up = [-math.sin(e) * math.sin(a), math.sin(e) * math.cos(a), math.cos(e)]
    backward = [math.cos(e) * math.sin(a), -math.cos(e) * math.cos(a), math.sin(e)]
    rows = [[right[k], up[k], backward[k], backward[k]] for k in range(3)]
    expected = torch.tensor([*rows, [0.0, 0.0, 0.0, 1.0]]).flatten()
    for distance in (1.0, 1.5):
        numbers = mvdream_camera(orbit(70.0, 20.0, distance, 50.0, 64).world_to_camera)
        torch.testing.assert_close(numbers[0], expected, atol=1e-6, rtol=0)
    front = mvdream_camera(four_views(0.0, 64).world_to_camera)[0].reshape(4, 4)
    torch.testing.assert_close(front[:3, 3], torch.tensor([0.0, -1.0, 0.0]), atol=1e-6, rtol=0)


def test_every_pixel_sees_those_of_all_views() -> None:
    """The layer by hand: one softmax over the pixels of the four views of an object, and of no other object."""
    torch.manual_seed(0)
    layer = Attention(query_dim=8, heads=2, dim_head=4, processor=CrossViewAttention())
    states = torch.randn(8, 5, 8)
    made = layer(states)
    for number in range(2):
        joined = states[4 * number : 4 * number + 4].flatten(0, 1)
        heads = [
            part(joined).unflatten(1, (2, 4)).transpose(0, 1) for part in (layer.to_q, layer.to_k, layer.to_v)
        ]
        weights = (heads[0] @ heads[1].transpose(1, 2) / 2).softmax(-1)
        expected = layer.to_out[0]((weights @ heads[2]).transpose(0, 1).flatten(1)).unflatten(0, (4, 5))
        torch.testing.assert_close(made[4 * number : 4 * number + 4], expected)


def test_views_see_each_other_and_other_objects_do_not(model: MVDream) -> None:
    latents, context, cameras = batch(objects=2)
    before = predicted(model.unet, latents, context, cameras)
    other = latents.clone()
    other[3] += 1.0
    change = (predicted(model.unet, other, context, cameras) - before).abs().amax(dim=(1, 2, 3))
    assert bool((change[:4] > 1e-5).all()) and not change[4:].any()
    turned = [2, 0, 3, 1, 4, 5, 6, 7]
    again = predicted(model.unet, latents[turned], context[turned], cameras[turned])
    torch.testing.assert_close(again, before[turned], atol=1e-5, rtol=1e-4)
    told = predicted(model.unet, latents, context, cameras.flip(0))
    assert float((told - before).abs().max()) > 1e-4


@pytest.mark.parametrize("suffix", ["safetensors", "fp16.safetensors", "bin"])
def test_four_equal_views_are_what_the_plain_network_makes_of_one(
    folder: Path, tmp_path: Path, suffix: str
) -> None:
    """Where all views are the same it does not matter whether they see each other: every weight is in its place."""
    torch.manual_seed(7)
    plain = make_mvdream_unet(SHRUNK_MVDREAM.unet).eval()
    copy = tmp_path / "model"
    copy.mkdir()
    for part in folder.iterdir():
        if part.name != "unet":
            (copy / part.name).symlink_to(part)
    write_mvdream_unet(copy / "unet", plain)
    written = copy / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(written)
    written.unlink()
    if suffix == "bin":
        torch.save(tensors, copy / "unet/diffusion_pytorch_model.bin")
    else:
        half = torch.float16 if "fp16" in suffix else torch.float32
        halved = {name: tensor.to(half) for name, tensor in tensors.items()}
        save_file(halved, copy / f"unet/diffusion_pytorch_model.{suffix}")
    model = load_mvdream(copy, CPU)
    one = [value[:1] for value in batch()]
    four = [value.repeat(4, *[1] * (value.dim() - 1)) for value in one]
    tolerance = 2e-2 if "fp16" in suffix else 1e-4
    expected = predicted(plain, *one).expand(4, -1, -1, -1)
    torch.testing.assert_close(predicted(model.unet, *four), expected, atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_it_is_sampled_as_its_authors_do(folder: Path, model: MVDream) -> None:
    """One branch at a time; both know the cameras, one has no text; 3 steps, guidance scale 5."""
    vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(3)
    cameras = four_views(15.0, 64)
    numbers = mvdream_camera(cameras.world_to_camera)
    encode = load_text_encoder(folder, CPU)
    latents = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    for t in scheduler.timesteps:
        branches = [
            model.unet(latents, t, encoder_hidden_states=encode([text] * 4), class_labels=numbers).sample
            for text in ("", "a bed")
        ]
        guided = branches[0] + 5.0 * (branches[1] - branches[0])
        latents = scheduler.step(guided, t, latents).prev_sample
    expected = (vae.decode(latents / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    views = sample_views(
        model,
        Subject("a bed"),
        cameras,
        steps=3,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
    )
    torch.testing.assert_close(views.images, expected, atol=2e-4, rtol=0)


def test_its_four_views_take_a_latent_plane(model: MVDream) -> None:
    """N = 4 and azimuths a right angle apart, in the block of the paper's choice."""
    cameras = ring(4, 30.0, 1.5, 49.13, 64)
    torch.manual_seed(0)
    plane = LatentPlane(64, 128, cameras, token_channels=8, num_octaves=2, num_heads=2, samples_per_ray=4)

    def draw(plane: LatentPlane | None) -> Any:
        return sample_views(
            model,
            Subject("a bed"),
            cameras,
            steps=2,
            guidance_scale=2.0,
            generator=torch.Generator().manual_seed(0),
            plane=plane,
        )

    enhanced = draw(plane)
    assert enhanced.images.shape == (4, 3, 64, 64)
    assert float((enhanced.images - draw(None).images).abs().max()) > 1e-4
    inputs = enhanced.plane_inputs
    assert inputs is not None and inputs.features.shape == (1, 4, 64, 8, 8)
    with torch.no_grad():
        assert density_grid(lambda points: plane.density_at(inputs[0], points), 8, CPU).isfinite().all()


def test_half_precision_is_about_the_same(folder: Path, model: MVDream) -> None:
    narrow = load_mvdream(folder, CPU, "bf16")
    drawn = [
        sample_views(
            one,
            Subject("a bed"),
            four_views(15.0, 64),
            steps=2,
            guidance_scale=2.0,
            generator=torch.Generator().manual_seed(0),
        ).images
        for one in (model, narrow)
    ]
    assert drawn[1].dtype == torch.float32
    assert 0 < float(F.mse_loss(*drawn).sqrt()) < 0.05


def test_what_it_cannot_draw_is_one_sentence(model: MVDream) -> None:
    with pytest.raises(ParameterError, match="draws 4 views of an object together, not 8"):
        model.guided(Subject("a bed"), ring(8, 30.0, 1.5, 49.13, 64))
    with pytest.raises(ParameterError, match="from a prompt, and there is none"):
        model.guided(Subject(""), four_views(15.0, 64))


def test_models_of_another_kind_are_named(folder: Path, stable_diffusion_folder: Path) -> None:
    with pytest.raises(ModelError, match="no MVDream: its UNet is a UNet2DConditionModel"):
        load_mvdream(stable_diffusion_folder, CPU)
    with pytest.raises(ModelError, match="no novel-view model"):
        load_novel_view(folder, CPU)
