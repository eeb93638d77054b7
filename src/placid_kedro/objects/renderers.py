"""Two renderers behind one method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from placid_kedro.cameras import Cameras
from placid_kedro.objects.config import RenderParameters
from placid_kedro.rendering import Mesh, Render, render_mesh


class Renderer(Protocol):
    """Makes images and planar depth of one object."""

    def render(self, path: Path, mesh: Mesh, cameras: Cameras) -> Render:
        """Render the views of an object.

        Args:
            path: of its file.
            mesh: the same, loaded.
            cameras: the views.
        """


@dataclass(frozen=True)
class EmbreeRenderer:
    """Ray casting on the CPU.

    Attributes:
        supersample: rays per pixel along each axis.
    """

    supersample: int

    def render(self, path: Path, mesh: Mesh, cameras: Cameras) -> Render:
        """Render the loaded mesh; the file is not read again."""
        return render_mesh(mesh, cameras, self.supersample)


@lru_cache(maxsize=1)
def make_renderer(parameters: RenderParameters) -> Renderer:
    """The renderer that the parameters choose; the same one for the same parameters, so that Blender starts once."""
    if parameters.renderer == "embree":
        return EmbreeRenderer(parameters.embree.supersample)
    from placid_kedro.rendering.blender import BlenderRenderer, BlenderSettings

    return BlenderRenderer(BlenderSettings(**parameters.blender.model_dump()))
