"""Meshes to images and depth."""

from placid_kedro.rendering.embree import Render, render_mesh
from placid_kedro.rendering.mesh import Mesh, load_mesh

__all__ = ["Mesh", "Render", "load_mesh", "render_mesh"]
