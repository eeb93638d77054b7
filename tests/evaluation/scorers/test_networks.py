"""ImageReward on transformers' BLIP against its arithmetic written out by the published names; CLIP and BLIP-2 tiny."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import ModelError
from placid_kedro.evaluation.scorers.clip import load_clip
from placid_kedro.evaluation.scorers.imagereward import (
    MEAN,
    STD,
    ImageReward,
    ImageRewardScorer,
    load_imagereward,
)
from placid_kedro.evaluation.scorers.pixels import Pixels

WIDTH, HEADS, TEXT = 16, 2, 12


def published_weights() -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of ImageReward.pt, two layers deep."""
    draw = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {}

    def linear(name: str, inner: int, outer: int) -> None:
        weights[f"{name}.weight"] = torch.randn(outer, inner, generator=draw) / inner**0.5
        weights[f"{name}.bias"] = 0.1 * torch.randn(outer, generator=draw)

    def norm(name: str, width: int) -> None:
        weights[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=draw)
        weights[f"{name}.bias"] = 0.1 * torch.randn(width, generator=draw)

    visual, text = "blip.visual_encoder", "blip.text_encoder"
    weights[f"{visual}.cls_token"] = torch.randn(1, 1, WIDTH, generator=draw)
    weights[f"{visual}.pos_embed"] = torch.randn(1, 5, WIDTH, generator=draw)
    weights[f"{visual}.patch_embed.proj.weight"] = torch.randn(WIDTH, 3, 4, 4, generator=draw) / 7
    weights[f"{visual}.patch_embed.proj.bias"] = torch.randn(WIDTH, generator=draw)
    for layer in range(2):
        block = f"{visual}.blocks.{layer}"
        norm(f"{block}.norm1", WIDTH)
        linear(f"{block}.attn.qkv", WIDTH, 3 * WIDTH)
        linear(f"{block}.attn.proj", WIDTH, WIDTH)
        norm(f"{block}.norm2", WIDTH)
        linear(f"{block}.mlp.fc1", WIDTH, 24)
        linear(f"{block}.mlp.fc2", 24, WIDTH)
    norm(f"{visual}.norm", WIDTH)
    weights[f"{text}.embeddings.word_embeddings.weight"] = torch.randn(30, TEXT, generator=draw)
    weights[f"{text}.embeddings.position_embeddings.weight"] = torch.randn(40, TEXT, generator=draw)
    weights[f"{text}.embeddings.position_ids"] = torch.arange(40)[None]
    norm(f"{text}.embeddings.LayerNorm", TEXT)
    for layer in range(2):
        block = f"{text}.encoder.layer.{layer}"
        for part, width in (("attention", TEXT), ("crossattention", WIDTH)):
            for name in ("query", "key", "value"):
                linear(f"{block}.{part}.self.{name}", TEXT if name == "query" else width, TEXT)
            linear(f"{block}.{part}.output.dense", TEXT, TEXT)
            norm(f"{block}.{part}.output.LayerNorm", TEXT)
        linear(f"{block}.intermediate.dense", TEXT, 20)
        linear(f"{block}.output.dense", 20, TEXT)
        norm(f"{block}.output.LayerNorm", TEXT)
    for index, (inner, outer) in zip(
        (0, 2, 4, 6, 7), ((TEXT, 1024), (1024, 128), (128, 64), (64, 16), (16, 1)), strict=True
    ):
        linear(f"mlp.layers.{index}", inner, outer)
    linear("blip.vision_proj", WIDTH, 4)
    linear("blip.text_proj", TEXT, 4)
    return weights


def reward_by_hand(weights: dict[str, Tensor], pixels: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """ImageReward's published forward pass in float64."""
    w = {name: value.double() for name, value in weights.items()}

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Tensor, name: str, eps: float) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)

    def attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None) -> Tensor:
        split = [x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (query, key, value)]
        logits = split[0] @ split[1].transpose(-1, -2) / split[0].shape[-1] ** 0.5
        if hidden is not None:
            logits = logits.masked_fill(hidden[:, None, None], float("-inf"))
        return (logits.softmax(-1) @ split[2]).transpose(1, 2).flatten(2)

    v = "blip.visual_encoder"
    patches = F.conv2d(
        pixels.double(), w[f"{v}.patch_embed.proj.weight"], w[f"{v}.patch_embed.proj.bias"], stride=4
    )
    x = torch.cat(
        [w[f"{v}.cls_token"].expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1
    )
    x = x + w[f"{v}.pos_embed"]
    for layer in range(2):
        b = f"{v}.blocks.{layer}"
        x = x + linear(
            attend(*linear(norm(x, f"{b}.norm1", 1e-6), f"{b}.attn.qkv").chunk(3, -1)), f"{b}.attn.proj"
        )
        x = x + linear(F.gelu(linear(norm(x, f"{b}.norm2", 1e-6), f"{b}.mlp.fc1")), f"{b}.mlp.fc2")
    seen = norm(x, f"{v}.norm", 1e-6)
    t = "blip.text_encoder"
    h = w[f"{t}.embeddings.word_embeddings.weight"][tokens]
    h = norm(
        h + w[f"{t}.embeddings.position_embeddings.weight"][: tokens.shape[1]],
        f"{t}.embeddings.LayerNorm",
        1e-12,
    )
    for layer in range(2):
        b = f"{t}.encoder.layer.{layer}"
        for part, source, hidden in (("attention", None, mask == 0), ("crossattention", seen, None)):
            given = h if source is None else source
            p = f"{b}.{part}"
            a = attend(
                *(linear(g, f"{p}.self.{n}") for g, n in ((h, "query"), (given, "key"), (given, "value"))),
                hidden,
            )
            h = norm(linear(a, f"{p}.output.dense") + h, f"{p}.output.LayerNorm", 1e-12)
        out = linear(F.gelu(linear(h, f"{b}.intermediate.dense")), f"{b}.output.dense")
        h = norm(out + h, f"{b}.output.LayerNorm", 1e-12)
    y = h[:, 0]
    for index in (0, 2, 4, 6, 7):
        y = linear(y, f"mlp.layers.{index}")
    return (y[:, 0] - 0.16717362830052426) / 1.0333394966054072


def tiny_imagereward() -> ImageReward:
    from transformers.models.blip.configuration_blip import BlipTextConfig, BlipVisionConfig

    vision = BlipVisionConfig(
        hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=2, num_attention_heads=HEADS, image_size=8,
        patch_size=4, layer_norm_eps=1e-6,
    )  # fmt: skip
    text = BlipTextConfig(
        vocab_size=30, hidden_size=TEXT, encoder_hidden_size=WIDTH, intermediate_size=20, num_hidden_layers=2,
        num_attention_heads=HEADS, max_position_embeddings=40, layer_norm_eps=1e-12, is_decoder=True,
    )  # fmt: skip
    return ImageReward(vision, text)


class Letters:
    """A tokenizer of letters, padded as asked."""

    def __call__(self, prompt: str, max_length: int, **asked: Any) -> Any:
        from transformers import BatchEncoding

        assert (
            asked == {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
            and max_length == 35
        )
        known = [1 + ord(letter) % 29 for letter in prompt][:max_length]
        rows = torch.tensor([known + [0] * (max_length - len(known))])
        return BatchEncoding({"input_ids": rows, "attention_mask": (rows > 0).long()})


def test_imagereward_is_its_published_arithmetic() -> None:
    weights, network = published_weights(), tiny_imagereward()
    network.load_published(weights)
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = ImageRewardScorer(network, Letters(), batch_size=2).rewards(images, "a red cat")
    text = Letters()("a red cat", 35, padding="max_length", truncation=True, return_tensors="pt")
    rows = [text[name].expand(3, -1) for name in ("input_ids", "attention_mask")]
    expected = reward_by_hand(weights, Pixels(8)(images), *rows)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)
    assert (MEAN, STD) == (0.16717362830052426, 1.0333394966054072)
    # The image and the prompt both count.
    assert float(found.std()) > 1e-3
    other = ImageRewardScorer(network, Letters(), batch_size=2).rewards(images, "a blue dog")
    assert not torch.allclose(found, other)


@pytest.mark.parametrize("change", ["missing", "shape", "unknown"])
def test_other_weights_are_refused(change: str) -> None:
    weights = published_weights()
    if change == "missing":
        del weights["mlp.layers.7.bias"]
    elif change == "shape":
        weights["mlp.layers.0.weight"] = torch.zeros(3, 3)
    else:
        weights["blip.itm_head.weight"] = torch.zeros(2, 2)
    with pytest.raises(ModelError, match=r"not ImageReward-v1\.0's"):
        tiny_imagereward().load_published(weights)


def test_imagereward_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ImageReward is not at"):
        load_imagereward(str(tmp_path), str(tmp_path), 1, torch.device("cpu"))


def test_pixels_are_standardised() -> None:
    grey = Pixels(4)(torch.full((1, 3, 16, 16), 0.5))
    torch.testing.assert_close(grey[0, :, 0, 0], torch.tensor([0.0690, 0.1614, 0.3328]), atol=1e-3, rtol=0)
    assert grey.shape == (1, 3, 4, 4)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    words = [*"abcdefghij", *(f"{letter}</w>" for letter in "abcdefghij"), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[])
    tokenizer.save_pretrained(folder)
    part = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **part,
        "vocab_size": len(words),
        "eos_token_id": 21,
        "bos_token_id": 20,
        "max_position_embeddings": 16,
    }
    config = CLIPConfig(
        text_config=text, vision_config={**part, "image_size": 8, "patch_size": 4}, projection_dim=6
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    return folder


def test_clip_is_transformers_own_similarity(clip_folder: Path) -> None:
    from transformers import CLIPModel, CLIPTokenizer

    scorer = load_clip(str(clip_folder), 2, torch.device("cpu"), "scores.quality.model")
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = scorer.similarities(images, ["abc", "jjj a"])
    model = CLIPModel.from_pretrained(clip_folder).eval()
    tokens = CLIPTokenizer.from_pretrained(clip_folder)(["abc", "jjj a"], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(pixel_values=Pixels(8)(images), **tokens).logits_per_image
    torch.testing.assert_close(found * model.logit_scale.exp(), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scorer.rewards(images, "abc"), found[:, 0], atol=1e-5, rtol=0)
    assert scorer.suffix == "_clip"


def test_clip_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no CLIP at .* in filter\.score\.scorer"):
        load_clip(str(tmp_path), 2, torch.device("cpu"), "filter.score.scorer")
