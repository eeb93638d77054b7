"""3D Gaussians: parameters, rasterization on the CPU and on CUDA, densification, pruning, ply files.

`DensificationConfig` and `UnseenParameters` import no torch; the rest loads when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from placid_kedro.splats.config import DensificationConfig, UnseenParameters

if TYPE_CHECKING:
    from placid_kedro.splats.cpu.rasterizer import compile_kernels
    from placid_kedro.splats.densification import Densification
    from placid_kedro.splats.gaussians import Gaussians
    from placid_kedro.splats.ply import load_ply, save_ply
    from placid_kedro.splats.rasterizer import rasterization
    from placid_kedro.splats.target_views import TargetViews
    from placid_kedro.splats.views import RenderedViews, render
    from placid_kedro.splats.visibility import are_seen, largest_weights, without_unseen

__all__ = [
    "Densification",
    "DensificationConfig",
    "Gaussians",
    "RenderedViews",
    "TargetViews",
    "UnseenParameters",
    "are_seen",
    "compile_kernels",
    "largest_weights",
    "load_ply",
    "rasterization",
    "render",
    "save_ply",
    "without_unseen",
]

_LAZY = {
    "cpu.rasterizer": ["compile_kernels"],
    "densification": ["Densification"],
    "gaussians": ["Gaussians"],
    "ply": ["load_ply", "save_ply"],
    "rasterizer": ["rasterization"],
    "target_views": ["TargetViews"],
    "views": ["RenderedViews", "render"],
    "visibility": ["are_seen", "largest_weights", "without_unseen"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_LAZY)
