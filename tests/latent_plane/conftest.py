"""What the Latent-Plane tests share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The point-by-point float64 implementation beside this file."""
    spec = importlib.util.spec_from_file_location(
        "latent_plane_oracle", Path(__file__).with_name("oracle.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
