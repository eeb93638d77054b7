"""Reads the tensors of a training checkpoint and nothing else of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from placid_kedro.errors import ModelError

REMEDY = "give the checkpoint as it was published, such as zero123-xl.ckpt"


@dataclass(frozen=True, eq=False)
class Checkpoint(Mapping[str, Tensor]):
    """The tensors of a file by their names.

    Attributes:
        path: of the file, for what is said of it.
        tensors: mapped into memory, so that only what is looked at is read.
    """

    path: Path
    tensors: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        """Raises ModelError: there is no such tensor."""
        if name not in self.tensors:
            raise ModelError(f"{self.path} holds no tensor {name}; {REMEDY}.")
        return self.tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def below(self, prefix: str) -> Checkpoint:
        """The tensors whose names begin with a prefix, without it."""
        inside = {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }
        return Checkpoint(self.path, inside)

    def count(self, pattern: str) -> int:
        """How many different numbers stand in the place of the pattern's one group."""
        return len({found[1] for name in self.tensors if (found := re.match(pattern, name))})


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors under `state_dict` in a file that torch has saved.

    Such a file also holds objects of the training's own libraries, which need not be here. They are read as empty
    stand-ins: of a pickle only tensors and plain containers are made, and no code of its choosing runs.

    Raises:
        ModelError: there is no state dict of tensors in it.
        Exception: whatever torch raises of a file that is none of its own.
    """
    strangers = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    with torch.serialization.safe_globals([(_stand_in(name), name) for name in strangers]):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise ModelError(f"{path} holds no state_dict; {REMEDY}.")
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()):
        raise ModelError(f"{path} holds something else than tensors under state_dict; {REMEDY}.")
    return Checkpoint(path, dict(state))


def _stand_in(name: str) -> type:
    """A class without any behaviour, for one of that name."""

    def ignore(self: Any, *given: Any, **named: Any) -> None:
        return None

    behaviour = {"__init__": ignore, "__setstate__": ignore, "__setitem__": ignore}
    return type(name.rpartition(".")[2], (), behaviour)
