"""Latent-Plane: a density field shared by the views of a diffusion model (Sec. 4.2, App. D).

The parameter types (`training.config`) import no torch; the rest loads when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from placid_kedro.latent_plane.compilation import compile_kernels
    from placid_kedro.latent_plane.evaluation.settings import Evaluation
    from placid_kedro.latent_plane.extensions.settings import Extensions
    from placid_kedro.latent_plane.inputs import ObjectInputs, PlaneInputs
    from placid_kedro.latent_plane.official import load_official
    from placid_kedro.latent_plane.plane import LatentPlane, PlaneOutput
    from placid_kedro.latent_plane.plugin import LatentPlaneAttachment, decoder_block
    from placid_kedro.latent_plane.presets import LatentPlanePreset, SamplingPolicy, preset

__all__ = [
    "Evaluation",
    "Extensions",
    "LatentPlane",
    "LatentPlaneAttachment",
    "LatentPlanePreset",
    "ObjectInputs",
    "PlaneInputs",
    "PlaneOutput",
    "SamplingPolicy",
    "compile_kernels",
    "decoder_block",
    "load_official",
    "preset",
]

_LAZY = {
    "compilation": ["compile_kernels"],
    "evaluation.settings": ["Evaluation"],
    "extensions.settings": ["Extensions"],
    "official": ["load_official"],
    "plane": ["LatentPlane", "PlaneOutput"],
    "inputs": ["ObjectInputs", "PlaneInputs"],
    "plugin": ["LatentPlaneAttachment", "decoder_block"],
    "presets": ["LatentPlanePreset", "SamplingPolicy", "preset"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_LAZY)
