"""Names of models that their own libraries fetch, with the revision that is asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch

from placid_kedro.errors import ModelError
from placid_kedro.evaluation.scorers.blip2 import load_blip2
from placid_kedro.evaluation.scorers.clip import load_clip
from placid_kedro.evaluation.scorers.imagereward import load_imagereward
from placid_kedro.evaluation.t3bench.config import Blip2Captions
from placid_kedro.models.hub import split_revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_name_may_have_a_revision(tmp_path: Path) -> None:
    assert split_revision("owner/name") == ("owner/name", "main")
    assert split_revision(f"owner/name@{COMMIT}") == ("owner/name", COMMIT)
    assert split_revision("owner/name@refs/pr/1") == ("owner/name", "refs/pr/1")
    folder = tmp_path / "mine@home"
    folder.mkdir()
    assert split_revision(str(folder)) == (str(folder), "main")


def test_scorers_ask_for_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(name: str, *_: Any, revision: str, **__: Any) -> None:
        asked.append((name, revision))
        raise OSError("no network")

    for taken in (
        "CLIPModel.from_pretrained",
        "BertTokenizer.from_pretrained",
        "Blip2ForConditionalGeneration.from_pretrained",
    ):
        monkeypatch.setattr(f"transformers.{taken}", refuse)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    cpu, pinned = torch.device("cpu"), f"a/b@{COMMIT}"
    blip2 = Blip2Captions(kind="blip2", model=pinned, batch_size=1, max_tokens=3, top_p=0.9, precision="fp32")
    with pytest.raises(ModelError, match="There is no CLIP at a/b@"):
        load_clip(pinned, 1, cpu, "scores.quality.model")
    with pytest.raises(ModelError, match="There is no BLIP-2 at a/b@"):
        load_blip2(blip2, cpu)
    with pytest.raises(ModelError, match="its tokenizer not at a/b@"):
        load_imagereward("c/d", pinned, 1, cpu)
    monkeypatch.setattr("transformers.BertTokenizer.from_pretrained", lambda name, revision: name)
    with pytest.raises(ModelError, match="ImageReward is not at a/b@"):
        load_imagereward(pinned, "c/d", 1, cpu)
    assert asked == [("a/b", COMMIT)] * 4
