"""UNets and autoencoders in bfloat16, between which everything stays float32."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from placid_kedro.cameras import orbit
from placid_kedro.diffusion.autoencoding import decode, encode
from placid_kedro.diffusion.lora import fine_tune, lora_applied
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image, sample_images
from placid_kedro.latent_plane.sampling import sample_views

CPU = torch.device("cpu")
BATCH = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([999, 3])


@pytest.fixture
def narrow(stable_diffusion_folder: Path) -> TextToImage:
    load_text_to_image.cache_clear()
    return load_text_to_image(stable_diffusion_folder, CPU, "bf16")


def error(found: Tensor, exact: Tensor) -> float:
    """Relative L2."""
    return float((found - exact).norm() / exact.norm())


@torch.no_grad()
def test_a_unet_takes_and_gives_float32(narrow: TextToImage, text_to_image_32: TextToImage) -> None:
    context = narrow.embed(["a cat", "a dog"])
    assert context.dtype == torch.float32
    seen: list[torch.dtype] = []
    narrow.unet.time_proj.register_forward_pre_hook(lambda module, given: seen.append(given[0].dtype))  # type: ignore[attr-defined]
    outputs = [
        model.unet(*BATCH, encoder_hidden_states=context, return_dict=False)[0]
        for model in (narrow, text_to_image_32)
    ]
    assert {parameter.dtype for parameter in narrow.unet.parameters()} == {torch.bfloat16}
    assert outputs[0].dtype == torch.float32
    assert 0 < error(*outputs) < 0.02
    assert seen == [torch.int64]
    with pytest.raises(TypeError, match="return_dict=False"):
        narrow.unet(*BATCH, encoder_hidden_states=context)


@pytest.fixture
def text_to_image_32(stable_diffusion_folder: Path) -> TextToImage:
    load_text_to_image.cache_clear()
    return load_text_to_image(stable_diffusion_folder, CPU)


@torch.no_grad()
def test_images_and_latents_are_about_the_same(narrow: TextToImage, text_to_image_32: TextToImage) -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    latents = [encode(model.autoencoder, images) for model in (narrow, text_to_image_32)]
    assert latents[0].dtype == torch.float32 and error(*latents) < 0.03
    drawn = [decode(model.autoencoder, latents[1]) for model in (narrow, text_to_image_32)]
    assert drawn[0].dtype == torch.float32 and error(*drawn) < 0.03
    settings: dict[str, Any] = {"steps": 2, "guidance_scale": 2.0}
    drawn = [
        sample_images(model, ["a cat"], generator=torch.Generator().manual_seed(1), **settings)
        for model in (narrow, text_to_image_32)
    ]
    assert error(*drawn) < 0.05


def test_a_lora_is_trained_in_float32(narrow: TextToImage) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    lora = fine_tune(
        narrow,
        images,
        ["a cat", "a dog"],
        rank=2,
        learning_rate=1e-4,
        steps=2,
        batch_size=2,
        generator=torch.Generator().manual_seed(0),
    )
    assert {weight.dtype for weight in lora.values()} == {torch.float32}
    # Two steps of Adam are about as long as the learning rate: in bfloat16 they would be lost beside a weight of 1.
    moved = torch.cat([weight.flatten() for name, weight in lora.items() if "lora_B" in name])
    assert float(moved.abs().max()) == pytest.approx(2e-4, rel=0.1)
    with torch.no_grad(), lora_applied(narrow, {name: 1e3 * weight for name, weight in lora.items()}):
        changed = narrow.unet(*BATCH, encoder_hidden_states=narrow.embed(["a", "b"]), return_dict=False)[0]
    with torch.no_grad():
        before = narrow.unet(*BATCH, encoder_hidden_states=narrow.embed(["a", "b"]), return_dict=False)[0]
    assert changed.dtype == torch.float32 and error(changed, before) > 1e-3


def test_views_are_about_the_same(zero123_folder: Path) -> None:
    cameras = orbit([0.0, 90.0], [30.0, 30.0], [1.5, 1.5], 50.0, 64)
    reference = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    drawn = [
        sample_views(
            load_novel_view(zero123_folder, CPU, precision),
            Subject(reference=reference, reference_camera=cameras[0]),
            cameras,
            steps=2,
            guidance_scale=2.0,
            generator=torch.Generator().manual_seed(1),
        ).images
        for precision in ("bf16", "float32")
    ]
    assert drawn[0].dtype == torch.float32 and 0 < error(*drawn) < 0.05
