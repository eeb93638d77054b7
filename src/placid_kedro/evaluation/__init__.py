"""Does the object match its prompt?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "ImageScorer": "scorer",
    "Retrieval": "retrieval",
    "load_scorer": "scorer",
    "rank_of_prompt": "retrieval",
}

__all__ = ["ImageScorer", "Retrieval", "load_scorer", "rank_of_prompt"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
