"""Captions by BLIP-2 (Li et al. 2023) through transformers, words drawn from the nucleus."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from placid_kedro.errors import ModelError
from placid_kedro.evaluation.scorers.pixels import Pixels
from placid_kedro.evaluation.t3bench.config import Blip2Captions
from placid_kedro.models.hub import split_revision

_PRECISION = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Blip2Captioner:
    """One caption an image.

    Args:
        model: a `Blip2ForConditionalGeneration`.
        tokenizer: of its language model.
        parameters: of the sampling.
    """

    suffix = ""

    def __init__(self, model: Any, tokenizer: Any, parameters: Blip2Captions) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._parameters = parameters
        self.name = f"BLIP-2 {parameters.model}"
        self._pixels = Pixels(int(model.config.vision_config.image_size))
        # The image's places, then an empty prompt.
        queries = [model.config.image_token_index] * model.config.num_query_tokens
        self._start = torch.tensor([[*queries, tokenizer.eos_token_id]])

    @torch.no_grad()
    def captions(self, images: Tensor, seed: int) -> list[str]:
        """One caption for each of the images [N, 3, H, W] in [0, 1]; the same ones for the same seed."""
        device, given, texts = self._model.device, self._parameters, []
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            for part in images.split(given.batch_size):
                pixels = self._pixels(part.to(device)).to(self._model.dtype)
                rows = self._start.to(device).expand(len(part), -1)
                tokens = self._model.generate(
                    pixel_values=pixels,
                    input_ids=rows,
                    attention_mask=torch.ones_like(rows),
                    do_sample=True,
                    top_p=given.top_p,
                    max_new_tokens=given.max_tokens,
                )
                texts += self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]


def load_blip2(parameters: Blip2Captions, device: torch.device) -> Blip2Captioner:
    """BLIP-2 from a hub id or folder; on the CPU in float32 whatever the precision.

    Raises:
        ModelError: it is not there or something else.
    """
    from transformers import AutoTokenizer, Blip2ForConditionalGeneration

    precision = _PRECISION[parameters.precision] if device.type == "cuda" else torch.float32
    name, revision = split_revision(parameters.model)
    try:
        model = Blip2ForConditionalGeneration.from_pretrained(name, revision=revision, dtype=precision)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"There is no BLIP-2 at {parameters.model}; give a hub id or a folder in scores.captions.model."
        ) from error
    torch.nn.Module.to(model, device)
    return Blip2Captioner(model, tokenizer, parameters)
