"""Checkpoints of a long loop: what it needs to go on, to the bit, after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from placid_kedro.files import new_file

logger = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """The file that one loop leaves now and then.

    Attributes:
        path: of the file, replaced in one piece.
        identity: of everything that the loop's result depends on; a checkpoint with another one is not used.
        every_seconds: time between two; 0 saves after every step.
    """

    path: Path
    identity: str
    every_seconds: float = 20.0
    _saved: float = field(default_factory=time.monotonic, init=False, repr=False)

    def load(self) -> dict[str, Any] | None:
        """What was saved last (tensors on the CPU); None when there is nothing that this loop can go on from."""
        import torch

        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, state = content["identity"], dict(content["state"])
        except Exception as error:  # a damaged file makes torch, zipfile and pickle raise their own
            logger.warning("%s is damaged (%s): from the start", self.path, type(error).__name__)
            return None
        if identity != self.identity:
            logger.info("%s is of other inputs: from the start", self.path)
            return None
        return state

    def save_when_due(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save what `state` returns (tensors, numbers, texts, and lists and dictionaries of them), if it is time."""
        import torch

        if time.monotonic() - self._saved < self.every_seconds:
            return
        with new_file(self.path) as temporary, temporary.open("wb") as stream:
            torch.save({"identity": self.identity, "state": state()}, stream)
        self._saved = time.monotonic()

    @contextmanager
    def discarded_on(self, *errors: type[Exception]) -> Iterator[None]:
        """Delete what was saved when the body raises one of `errors`: the next run must not go on from there."""
        try:
            yield
        except errors:
            self.path.unlink(missing_ok=True)
            raise
