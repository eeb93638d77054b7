"""The image-text scorer and its folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from placid_kedro.embedded.networks.scorer import ImageScorer, known_names, load_scorer
from placid_kedro.errors import ModelError, ShapeError


@pytest.fixture(scope="module")
def scorer(tiny_models: Any) -> ImageScorer:
    return load_scorer(tiny_models.scorer)


def images(size: int = 32) -> torch.Tensor:
    coarse = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)


def test_similarities_are_cosines(scorer: ImageScorer) -> None:
    texts = ["a teddy bear", "a piano"]
    result = scorer.similarities(images(), texts)
    assert result.shape == (3, 2)
    assert result.abs().max() <= 1 + 1e-6
    with torch.no_grad():
        lengths = scorer.embed_images(images()).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones(3))
    # Each image and each text for itself.
    torch.testing.assert_close(scorer.similarities(images()[1:2], texts[1:]), result[1:2, 1:])
    assert scorer.score(images(), texts[0]) == pytest.approx(float(result[:, 0].mean()), abs=1e-6)


def test_larger_images_are_brought_to_its_size(scorer: ImageScorer) -> None:
    large = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    # Pillow's bilinear filter spans all pixels that it brings together, as the scorer's must.
    small = [
        [
            np.asarray(Image.fromarray(channel).resize((32, 32), Image.Resampling.BILINEAR))
            for channel in image
        ]
        for image in large.numpy()
    ]
    torch.testing.assert_close(
        scorer.similarities(large, ["a cat"]),
        scorer.similarities(torch.from_numpy(np.array(small)), ["a cat"]),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32)])
def test_other_shapes_are_refused(scorer: ImageScorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="takes images"):
        scorer.similarities(torch.zeros(shape), ["a cat"])


def test_names_beside_the_weights(tiny_models: Any, tmp_path: Path) -> None:
    assert known_names(tiny_models.scorer) == ("teddy bear", "cactus", "upright piano", "desk lamp")
    (tmp_path / "names.txt").write_text("one\r\n\ntwo words")
    assert known_names(tmp_path) == ("one", "two words")
    for content in (b"", b"\n \n", b"\xff\xfe\x00"):
        (tmp_path / "names.txt").write_bytes(content)
        with pytest.raises(ModelError, match=r"names\.txt"):
            known_names(tmp_path)
    with pytest.raises(ModelError, match="missing"):
        known_names(tmp_path / "nowhere")


def test_another_network_is_no_scorer(tiny_models: Any, tmp_path: Path) -> None:
    shutil.copytree(tiny_models.text_to_image / "vae", tmp_path / "scorer")
    index = {"scorer": ["placid_kedro", "PatchAutoencoder"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="is a PatchAutoencoder"):
        load_scorer(tmp_path)
