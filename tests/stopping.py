"""A loop that is stopped on its way, as by a kill."""

from dataclasses import dataclass
from typing import Any

import torch


class Stopped(Exception):
    """A kill, as far as the loop can tell."""


@dataclass
class StopsAt:
    """A `Progress` that ends a loop when it has done so many steps."""

    step: int

    def track(self, iterable: Any, total: int | None = None, description: str = "") -> Any:
        yield from iterable

    def log_metrics(self, step: int, metrics: Any) -> None:
        if step == self.step:
            raise Stopped

    def log_image(self, step: int, name: str, image: torch.Tensor) -> None:
        raise AssertionError("no image is expected")
