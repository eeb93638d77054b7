"""ImageReward-v1.0 (Xu et al. 2023) on transformers' BLIP: how much people would like an image for a prompt."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from placid_kedro.errors import ModelError
from placid_kedro.evaluation.scorers.pixels import Pixels
from placid_kedro.models.hub import split_revision

# Of the rewards over its training set: what comes out is standardised with them.
MEAN, STD = 0.16717362830052426, 1.0333394966054072
MAX_TOKENS = 35
WEIGHTS = "ImageReward.pt"
# BERT's uncased words, [DEC] and [ENC].
_VOCABULARY = 30524
_HEAD = (1024, 128, 64, 16, 1)
_DROPOUT = (0.2, 0.2, 0.1)
_NAMES = (
    (r"^blip\.text_encoder\.", "text."),
    (r"^blip\.visual_encoder\.cls_token$", "vision.embeddings.class_embedding"),
    (r"^blip\.visual_encoder\.pos_embed$", "vision.embeddings.position_embedding"),
    (r"^blip\.visual_encoder\.patch_embed\.proj\.", "vision.embeddings.patch_embedding."),
    (r"^blip\.visual_encoder\.norm\.", "vision.post_layernorm."),
    (r"^blip\.visual_encoder\.blocks\.(\d+)\.norm(\d)\.", r"vision.encoder.layers.\1.layer_norm\2."),
    (r"^blip\.visual_encoder\.blocks\.(\d+)\.attn\.qkv\.", r"vision.encoder.layers.\1.self_attn.qkv."),
    (
        r"^blip\.visual_encoder\.blocks\.(\d+)\.attn\.proj\.",
        r"vision.encoder.layers.\1.self_attn.projection.",
    ),
    (r"^blip\.visual_encoder\.blocks\.", "vision.encoder.layers."),
    (r"^mlp\.layers\.", "head."),
)
# Of the training only: the two projections into the common space, and constants that transformers makes itself.
_UNUSED = re.compile(r"^blip\.(vision_proj|text_proj)\.|position_ids$")


class ImageReward(nn.Module):
    """A ViT, a BERT that looks at it, and five linear layers on the first token.

    Args:
        vision: `BlipVisionConfig`; the published one's by default.
        text: `BlipTextConfig`; the published one's by default.
    """

    def __init__(self, vision: Any = None, text: Any = None) -> None:
        from transformers.models.blip.configuration_blip import BlipTextConfig, BlipVisionConfig
        from transformers.models.blip.modeling_blip import BlipVisionModel
        from transformers.models.blip.modeling_blip_text import BlipTextModel

        super().__init__()
        vision = vision or BlipVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=224,
            patch_size=16, layer_norm_eps=1e-6,
        )  # fmt: skip
        text = text or BlipTextConfig(
            vocab_size=_VOCABULARY, hidden_size=768, encoder_hidden_size=vision.hidden_size, intermediate_size=3072,
            num_hidden_layers=12, num_attention_heads=12, max_position_embeddings=512, layer_norm_eps=1e-12,
            is_decoder=True,
        )  # fmt: skip
        self.image_size = int(vision.image_size)
        self.vision = BlipVisionModel(vision)
        self.text = BlipTextModel(text, add_pooling_layer=False)
        layers: list[nn.Module] = []
        widths = (int(text.hidden_size), *_HEAD)
        for index, (inner, outer) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(inner, outer))
            if index < len(_DROPOUT):
                layers.append(nn.Dropout(_DROPOUT[index]))
        self.head = nn.Sequential(*layers)

    def forward(self, pixels: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Standardised rewards [N] of pixels [N, 3, S, S] for N rows of tokens [N, L] with their mask."""
        seen = self.vision(pixel_values=pixels).last_hidden_state
        states = self.text(
            input_ids=tokens,
            attention_mask=mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:-1], dtype=torch.long, device=seen.device),
            is_decoder=False,
        ).last_hidden_state
        return (self.head(states[:, 0].float())[:, 0] - MEAN) / STD

    def load_published(self, weights: dict[str, Tensor]) -> None:
        """Take the published file's weights, under its own names.

        Raises:
            ModelError: a weight is missing, has another shape, or is not known.
        """
        named = {published_name(name): value for name, value in weights.items() if not _UNUSED.search(name)}
        try:
            self.load_state_dict(named, strict=True)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise ModelError(f"The weights are not ImageReward-v1.0's: {reason[:120]}.") from error


def published_name(name: str) -> str:
    """Where a weight of the published file goes."""
    for pattern, place in _NAMES:
        name, found = re.subn(pattern, place, name)
        if found:
            return name
    return name


class ImageRewardScorer:
    """ImageReward as T3Bench's scorer of quality."""

    name = "ImageReward-v1.0"
    suffix = ""

    def __init__(self, network: ImageReward, tokenizer: Any, batch_size: int) -> None:
        self._network = network.eval()
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._pixels = Pixels(network.image_size)

    @torch.no_grad()
    def rewards(self, images: Tensor, prompt: str) -> Tensor:
        """[N] float32 for images [N, 3, H, W] in [0, 1], on the CPU."""
        device = next(self._network.parameters()).device
        text = self._tokenizer(
            prompt, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(device)
        parts = []
        for part in images.split(self._batch_size):
            rows = (len(part), -1)
            tokens, mask = text["input_ids"].expand(rows), text["attention_mask"].expand(rows)
            parts.append(self._network(self._pixels(part.to(device)), tokens, mask))
        return torch.cat(parts).float().cpu()


def load_imagereward(
    weights: str, tokenizer: str, batch_size: int, device: torch.device
) -> ImageRewardScorer:
    """ImageReward-v1.0 from the published file.

    Args:
        weights: hub id, or a folder that holds `ImageReward.pt`.
        tokenizer: hub id or folder of BERT's uncased tokenizer.
        batch_size: images at a time.
        device: where it computes.

    Raises:
        ModelError: a file is missing or holds something else.
    """
    from transformers import BertTokenizer

    name, revision = split_revision(tokenizer)
    try:
        words = BertTokenizer.from_pretrained(name, revision=revision)
        state = torch.load(_weights_file(weights), map_location="cpu", weights_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"ImageReward is not at {weights}, or its tokenizer not at {tokenizer}; give hub ids or folders in "
            "scores.quality.weights and scores.quality.tokenizer."
        ) from error
    network = ImageReward()
    network.load_published(state)
    return ImageRewardScorer(network.to(device), words, batch_size)


def _weights_file(source: str) -> Path:
    from huggingface_hub import hf_hub_download

    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder / WEIGHTS
    name, revision = split_revision(source)
    return Path(hf_hub_download(name, WEIGHTS, revision=revision))
