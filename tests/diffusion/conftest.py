"""Loaded tiny models and model folders to damage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image


@pytest.fixture
def make_index() -> Callable[..., None]:
    def write(folder: Path, **components: Any) -> None:
        (folder / "model_index.json").write_text(json.dumps({"_class_name": "Test", **components}))

    return write


@pytest.fixture(scope="session")
def text_to_image(tiny_models: Any) -> TextToImage:
    return load_text_to_image(tiny_models.text_to_image, torch.device("cpu"))
