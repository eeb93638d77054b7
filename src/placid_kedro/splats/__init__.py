"""3D Gaussians: parameters, rasterization on the CPU and on CUDA, densification, ply files."""

from placid_kedro.splats.gaussians import Gaussians
from placid_kedro.splats.rasterization import rasterization

__all__ = ["Gaussians", "rasterization"]
