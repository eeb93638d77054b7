"""Latent-Plane: a density field shared by the views of a diffusion model (Sec. 4.2, App. D)."""

from placid_kedro.latent_plane.official import load_official
from placid_kedro.latent_plane.plane import LatentPlane, PlaneOutput
from placid_kedro.latent_plane.plugin import LatentPlaneAttachment, PlaneInputs, decoder_block
from placid_kedro.latent_plane.presets import LatentPlanePreset, SamplingPolicy, preset

__all__ = [
    "LatentPlane",
    "LatentPlaneAttachment",
    "LatentPlanePreset",
    "PlaneInputs",
    "PlaneOutput",
    "SamplingPolicy",
    "decoder_block",
    "load_official",
    "preset",
]
