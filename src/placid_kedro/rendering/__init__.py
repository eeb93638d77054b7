"""Meshes to images and depth."""

from placid_kedro.rendering.deformation import ProportionRange, Proportions, deformed
from placid_kedro.rendering.embree import Render, render_mesh
from placid_kedro.rendering.limits import MeshLimits
from placid_kedro.rendering.mesh import Y_UP_TO_WORLD, Coat, Mesh
from placid_kedro.rendering.mesh_files import FORMATS, load_mesh, load_parts
from placid_kedro.rendering.surfaces import Part, painted_part

__all__ = [
    "FORMATS",
    "Y_UP_TO_WORLD",
    "Coat",
    "Mesh",
    "MeshLimits",
    "Part",
    "ProportionRange",
    "Proportions",
    "Render",
    "deformed",
    "load_mesh",
    "load_parts",
    "painted_part",
    "render_mesh",
]
