"""BLIP-2's captions on a network of random weights: one an image, the same for the same seed."""

from pathlib import Path

import pytest
import torch

from placid_kedro.errors import ModelError
from placid_kedro.evaluation.scorers.blip2 import load_blip2
from placid_kedro.evaluation.t3bench.config import Blip2Captions


def parameters(folder: Path) -> Blip2Captions:
    return Blip2Captions(
        kind="blip2", model=str(folder), batch_size=2, max_tokens=6, top_p=0.9, precision="fp16"
    )


@pytest.fixture(scope="module")
def blip2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        PreTrainedTokenizerFast,
        T5Config,
    )

    folder = tmp_path_factory.mktemp("blip2")
    words = ["<pad>", "</s>", "<unk>", "<image>", *(f"word{index}" for index in range(28))]
    model = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=model, **special).save_pretrained(folder)
    part = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**part, image_size=8, patch_size=4).to_dict(),
        qformer_config=Blip2QFormerConfig(**part, vocab_size=32, encoder_hidden_size=8).to_dict(),
        text_config=T5Config(
            vocab_size=32, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
        ).to_dict(),
        num_query_tokens=3,
        image_token_index=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Blip2ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_one_caption_an_image_and_the_same_for_the_same_seed(blip2_folder: Path) -> None:
    captioner = load_blip2(parameters(blip2_folder), torch.device("cpu"))
    images = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    before = torch.random.get_rng_state()
    first, again, other = (captioner.captions(images, seed) for seed in (0, 0, 1))
    assert len(first) == 3 and all(caption.strip() for caption in first)
    assert first == again != other
    assert torch.equal(torch.random.get_rng_state(), before)
    assert captioner.suffix == ""


def test_blip2_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no BLIP-2 at"):
        load_blip2(parameters(tmp_path), torch.device("cpu"))
