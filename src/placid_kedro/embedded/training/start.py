"""Trained models that a training goes on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from placid_kedro.diffusion.loading import INDEX, load_component
from placid_kedro.errors import ModelError
from placid_kedro.files import digest_of, file_hash


@dataclass(frozen=True)
class StartModels:
    """A folder with the model folders `text_to_image` and `zero123`, as `pretrain` writes them.

    Attributes:
        folder: of the two.

    Raises:
        ModelError: one of them is missing.
    """

    folder: Path

    def __post_init__(self) -> None:
        for model in ("text_to_image", "zero123"):
            if not (self.folder / model / INDEX).is_file():
                raise ModelError(
                    f"{self.folder} holds no model {model}; give pretrain.start a folder that pretrain wrote, "
                    "such as ./models, or leave it empty to start from nothing."
                )

    def part(self, model: str, name: str) -> Any:
        """A part of one of the models as it is, frozen."""
        return load_component(self.folder / model, name)

    def load_into(self, network: nn.Module, model: str, name: str) -> None:
        """Give a new network the weights of a part.

        Raises:
            ModelError: the part has other sizes.
        """
        try:
            network.load_state_dict(self.part(model, name).state_dict())
        except RuntimeError as error:
            raise ModelError(
                f"{name} of {self.folder / model} has other sizes than the parameters of pretrain ask for; "
                "use those that it was made with."
            ) from error

    @property
    def identity(self) -> str:
        """Digest of all weights."""
        files = sorted(self.folder.glob("*/*/*.safetensors"))
        return digest_of([(str(file.relative_to(self.folder)), file_hash(file)) for file in files])
