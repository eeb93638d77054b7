"""3D Gaussians: parameters, rasterization on the CPU and on CUDA, densification, ply files.

`DensificationConfig` imports no torch; the rest loads when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from placid_kedro.splats.config import DensificationConfig

if TYPE_CHECKING:
    from placid_kedro.splats.cpu.rasterizer import compile_kernels
    from placid_kedro.splats.densification import Densification
    from placid_kedro.splats.gaussians import Gaussians
    from placid_kedro.splats.ply import load_ply, save_ply
    from placid_kedro.splats.rasterizer import rasterization
    from placid_kedro.splats.views import RenderedViews, render

__all__ = [
    "Densification",
    "DensificationConfig",
    "Gaussians",
    "RenderedViews",
    "compile_kernels",
    "load_ply",
    "rasterization",
    "render",
    "save_ply",
]

_MODULES = {
    "Densification": "densification",
    "Gaussians": "gaussians",
    "RenderedViews": "views",
    "compile_kernels": "cpu.rasterizer",
    "load_ply": "ply",
    "rasterization": "rasterizer",
    "render": "views",
    "save_ply": "ply",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
