"""Diffusion models: noise levels, loading, sampling, fine-tuning."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# The classes that a model folder's index may name; each loads diffusers, so only when it is asked for.
_MODULES = {
    "LiftedReference": "lifted_reference",
    "MiniLMTextEncoder": "text_encoders",
    "PatchAutoencoder": "patch_autoencoder",
    "ReferenceTokens": "reference_tokens",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
