"""Novel views: Zero-1-to-3's conventions written out one by one, and the embedded model with its plane."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import CLIPVisionModelWithProjection

from placid_kedro.cameras import orbit, ring
from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import NovelView, load_novel_view
from placid_kedro.embedded.networks.reference_tokens import ReferenceTokens
from placid_kedro.errors import ModelError, ParameterError, ShapeError
from placid_kedro.latent_plane import LatentPlane, SamplingPolicy, decoder_block, preset
from placid_kedro.latent_plane.presets import FieldStep
from placid_kedro.latent_plane.sampling import sample_views

CPU = torch.device("cpu")
# CLIP's own, which Zero-1-to-3 writes out in its code.
CLIP_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
CLIP_STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]


def picture(seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (64, 64), mode="bilinear")[0]


@torch.no_grad()
def zero123_views(
    folder: Path, image: torch.Tensor, poses_deg: list[tuple[float, float, float]]
) -> torch.Tensor:
    """Zero-1-to-3's inference, one view and one guidance branch at a time; 3 steps, guidance scale 2.

    `poses_deg`: polar and azimuth differences in degrees and the distance's difference.
    """
    vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").eval()
    clip = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder").eval()
    (weights,) = folder.glob("*projection/*.safetensors")
    projection = load_file(weights)
    weight = next(value for name, value in projection.items() if name.endswith(".weight"))
    bias = next(value for name, value in projection.items() if name.endswith(".bias"))

    concatenated = vae.encode(image[None] * 2 - 1).latent_dist.mode()  # without the scaling factor
    small = F.interpolate(image[None], (32, 32), mode="bicubic", align_corners=True)
    embedding = clip((small - CLIP_MEAN) / CLIP_STD).image_embeds
    noises = torch.randn(len(poses_deg), 4, 8, 8, generator=torch.Generator().manual_seed(3))
    images = []
    for noise, (polar, azimuth, distance) in zip(noises, poses_deg, strict=True):
        turn = math.radians(azimuth)
        pose = torch.tensor([[math.radians(polar), math.sin(turn), math.cos(turn), distance]])
        token = (torch.cat([embedding, pose], dim=-1) @ weight.T + bias)[:, None]
        scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", clip_sample=False)
        scheduler.set_timesteps(3)
        latents = noise[None]
        for t in scheduler.timesteps:
            conditional = unet(torch.cat([latents, concatenated], dim=1), t, token).sample
            nothing = torch.cat([latents, torch.zeros_like(concatenated)], dim=1)
            unconditional = unet(nothing, t, torch.zeros_like(token)).sample
            guided = unconditional + 2.0 * (conditional - unconditional)
            latents = scheduler.step(guided, t, latents).prev_sample
        images.append(vae.decode(latents / 0.18215).sample[0])
    return (torch.stack(images) / 2 + 0.5).clamp(0, 1)


def test_zero123_is_sampled_as_it_was_trained(zero123_folder: Path) -> None:
    model = load_novel_view(zero123_folder, CPU)
    assert model.image_size == 64
    reference_camera = orbit(20.0, 30.0, 1.5, 70.0, 64)
    cameras = orbit([20.0, 110.0, -25.0], [30.0, 10.0, 50.0], [1.5, 2.0, 1.2], 70.0, 64)
    views = sample_views(
        model,
        Subject(reference=picture(), reference_camera=reference_camera),
        cameras,
        steps=3,
        guidance_scale=2.0,
        generator=torch.Generator().manual_seed(3),
    )
    expected = zero123_views(zero123_folder, picture(), [(0, 0, 0), (20, 90, 0.5), (-20, -45, -0.3)])
    assert views.plane_inputs is None
    torch.testing.assert_close(views.images, expected, atol=2e-4, rtol=0)


def test_another_kind_of_model_is_refused(stable_diffusion_folder: Path) -> None:
    with pytest.raises(ModelError, match="no novel-view model"):
        load_novel_view(stable_diffusion_folder, CPU)


@pytest.fixture(scope="module")
def embedded(tiny_models: Any) -> NovelView:
    return load_novel_view(tiny_models.zero123, CPU)


@pytest.fixture
def plane(tiny_models: Any) -> LatentPlane:
    return load_component(tiny_models.latent_plane, "latent_plane")


CAMERAS = ring(8, 30.0, 1.5, 49.13, 64)


def draw(model: NovelView, seed: int = 0, **settings: Any) -> Any:
    cameras = settings.pop("cameras", CAMERAS)
    reference = settings.pop("reference", picture())
    defaults: dict[str, Any] = {"steps": 2, "guidance_scale": 2.0, "silhouette": torch.ones(64, 64)}
    return sample_views(
        model,
        Subject(reference=reference, reference_camera=CAMERAS[0]),
        cameras,
        generator=torch.Generator().manual_seed(seed),
        **{**defaults, **settings},
    )


def test_embedded_views_follow_seed_and_reference(embedded: NovelView) -> None:
    first = draw(embedded).images
    assert first.shape == (8, 3, 64, 64)
    assert torch.equal(first, draw(embedded).images)
    assert not torch.equal(first, draw(embedded, seed=1).images)
    assert not torch.equal(first, draw(embedded, reference=picture(1)).images)


def test_the_plane_acts_when_the_policy_says_so(embedded: NovelView, plane: LatentPlane) -> None:
    plain = draw(embedded).images
    never = SamplingPolicy("conditional", active_fraction=0.0, renoise_first_step=False)
    watched = draw(embedded, plane=plane, policy=never)
    assert torch.equal(watched.images, plain)
    assert watched.plane_inputs.features.shape == (1, 8, 16, 8, 8)
    assert watched.plane_inputs.t_emb.shape == (1, 32)
    enhanced = draw(embedded, plane=plane)
    assert not torch.equal(enhanced.images, plain)
    assert torch.equal(enhanced.images, draw(embedded, plane=plane, policy=preset("paper").sampling).images)
    renoised = draw(embedded, plane=plane, policy=replace(never, renoise_first_step=True))
    assert not torch.equal(renoised.images, plain)
    assert not embedded.unet._forward_hooks
    assert all(not module._forward_hooks for module in embedded.unet.modules())


def test_maps_last_as_many_steps_as_the_policy_says(
    embedded: NovelView, plane: LatentPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    enhance, calls = plane.enhance, []
    monkeypatch.setattr(plane, "enhance", lambda *given: calls.append(1) or enhance(*given))
    policy = SamplingPolicy("conditional", active_fraction=0.8, renoise_first_step=False, renewal_interval=3)
    draw(embedded, plane=plane, policy=policy, steps=5)
    assert len(calls) == 2  # steps 0 and 3 of 0 to 3
    with pytest.raises(ParameterError, match="renewal_interval must be at least 1"):
        replace(policy, renewal_interval=0)


@pytest.mark.parametrize(("field_step", "position"), [("first", 0), ("last", -1)])
def test_the_field_is_read_in_the_step_that_the_policy_names(
    embedded: NovelView, plane: LatentPlane, field_step: FieldStep, position: int
) -> None:
    """An own hook on the UNet's decoder block keeps what the steps put out; the plane itself stays silent."""
    block, seen = embedded.unet.get_submodule(decoder_block(embedded.unet)), []
    policy = SamplingPolicy("conditional", 0.0, renoise_first_step=False, field_step=field_step)
    with block.register_forward_hook(lambda module, given, output: seen.append(output.clone())):
        inputs = draw(embedded, plane=plane, policy=policy, steps=4).plane_inputs
    assert len(seen) == 4
    assert torch.equal(inputs.features[0], seen[position][8:])
    assert not torch.equal(seen[0], seen[-1])


@pytest.mark.parametrize(
    "cameras",
    [
        ring(7, 30.0, 1.5, 49.13, 64),
        ring(8, 20.0, 1.5, 49.13, 64),
        ring(8, 30.0, 1.6, 49.13, 64),
        ring(8, 30.0, 1.5, 60.0, 64),
    ],
)
def test_a_plane_of_other_views_is_refused(embedded: NovelView, plane: LatentPlane, cameras: Any) -> None:
    with pytest.raises(ParameterError, match="made for 8 other views"):
        draw(embedded, plane=plane, cameras=cameras)
    assert draw(embedded, cameras=cameras).images.shape[0] == len(cameras)


def test_a_plane_that_reads_the_silhouette_gets_it(embedded: NovelView, plane: LatentPlane) -> None:
    half = torch.cat([torch.ones(32, 64), torch.zeros(32, 64)])
    inputs = draw(embedded, plane=plane, silhouette=half).plane_inputs
    assert torch.equal(inputs.silhouette, half[None])
    with pytest.raises(ParameterError, match="silhouette, and there is none; give it"):
        draw(embedded, plane=plane, silhouette=None)
    with pytest.raises(ShapeError, match=r"its size \[64, 64\], got \[32, 32\]"):
        draw(embedded, plane=plane, silhouette=torch.ones(32, 32))


@pytest.mark.parametrize("shape", [(3, 32, 32), (4, 64, 64), (64, 64)])
def test_references_of_another_size(embedded: NovelView, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        draw(embedded, reference=torch.zeros(shape))


def test_reference_tokens_keep_their_place() -> None:
    torch.manual_seed(0)
    tokens = ReferenceTokens(latent_channels=4, latent_size=8, width=6, patch_size=4)
    latents, poses = torch.randn(2, 4, 8, 8), torch.randn(2, 4)
    context = tokens(latents, poses)
    assert context.shape == (2, 5, 6)
    # A patch's token depends on its own pixels only.
    changed = latents.clone()
    changed[:, :, :4, 4:] += 1
    same = (tokens(changed, poses) == context).all(-1)
    assert same.tolist() == [[True, True, False, True, True]] * 2
    assert not torch.isclose(tokens(latents, poses + 1), context).all(-1).any()
    with pytest.raises(ShapeError, match="reference latents"):
        tokens(latents[..., :4], poses)
