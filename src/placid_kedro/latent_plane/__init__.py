"""Latent-Plane: a density field shared by the views of a diffusion model (Sec. 4.2, App. D)."""

from placid_kedro.latent_plane.official import load_official
from placid_kedro.latent_plane.plane import LatentPlane, PlaneOutput
from placid_kedro.latent_plane.presets import LatentPlanePreset, SamplingPolicy, preset

__all__ = ["LatentPlane", "LatentPlanePreset", "PlaneOutput", "SamplingPolicy", "load_official", "preset"]
