"""How the rendered feature map and the UNet's own become one (Eq. 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Combination = Literal["add", "blend"]


def add(features: Tensor, rendered: Tensor, occupancy: Tensor) -> Tensor:
    """The paper's combination: `F + rendered` (Eq. 9)."""
    return features + rendered


def blend(features: Tensor, rendered: Tensor, occupancy: Tensor) -> Tensor:
    """The authors' code's combination: `F (1 - occupancy) + rendered`."""
    return features * (1 - occupancy) + rendered


COMBINATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"add": add, "blend": blend}
