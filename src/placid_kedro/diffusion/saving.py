"""Networks into model folders in the diffusers layout."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from placid_kedro.models import INDEX


def write_index(folder: Path, class_name: str, components: dict[str, tuple[str, str]]) -> None:
    """Write the index of a model folder: each component's library (as in `_LIBRARIES`) and class."""
    index = {"_class_name": class_name, **{name: list(entry) for name, entry in components.items()}}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def save_half(network: Any, folder: Path) -> None:
    """Half the bytes; loading turns the weights back into float32. The network itself keeps its precision."""
    half = copy.deepcopy(network)
    nn.Module.to(half, torch.float16)  # diffusers' own `to` warns of an empty list of modules
    half.save_pretrained(folder, safe_serialization=True)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Where a part was once loaded from is nobody's business.
    settings.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
