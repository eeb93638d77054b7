"""Meshes to images and depth."""

from placid_kedro.rendering.embree import Render, render_mesh
from placid_kedro.rendering.mesh import Y_UP_TO_WORLD, Mesh
from placid_kedro.rendering.mesh_files import FORMATS, MeshLimits, load_mesh, load_parts
from placid_kedro.rendering.reshaping import ProportionRange, Proportions, reshaped

__all__ = [
    "FORMATS",
    "Y_UP_TO_WORLD",
    "Mesh",
    "MeshLimits",
    "ProportionRange",
    "Proportions",
    "Render",
    "load_mesh",
    "load_parts",
    "render_mesh",
    "reshaped",
]
