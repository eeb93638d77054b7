"""A finished object as the files of a folder, one or several a format."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from placid_kedro.export.config import ExportFormat, ExportParameters
from placid_kedro.export.formats import write_compact, write_splats
from placid_kedro.export.meshing import mesh_of
from placid_kedro.export.pictures import pictures_along, write_gif, write_pngs, write_video
from placid_kedro.export.texturing import write_textured_glb
from placid_kedro.progress import SILENT, Progress
from placid_kedro.splats import Gaussians
from placid_kedro.viewer.page import FirstLook, check_count, splats_page


@dataclass(frozen=True)
class Files:
    """Files on their way into a folder (a `placid_kedro.datasets.folders.FolderWriter`).

    Attributes:
        contents: by path in the folder.
    """

    contents: Mapping[str, bytes]

    def save_pretrained(self, save_directory: Path) -> None:
        """Write them."""
        for name, content in self.contents.items():
            path = save_directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def exported(
    gaussians: Gaussians, parameters: ExportParameters, progress: Progress = SILENT, title: str = "splats"
) -> Files:
    """An object as `object.glb`, `object.spz`, `object.splat`, `object.compressed.ply`, `object.html`, `pictures/`,
    `turn.gif` and `turn.mp4`, as far as they are wanted.

    Args:
        gaussians: the object.
        parameters: which formats, and how.
        progress: told of each format.
        title: of the page.

    Raises:
        DataError: a mesh is wanted of Gaussians that cover nothing, or a page of too many.
    """
    if "html" in parameters.formats:
        check_count(len(gaussians))
    writer = _Writer(gaussians, parameters, title)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in progress.track(parameters.formats, description="formats"):
            writer.write(kind, folder)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return Files({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})


@dataclass(frozen=True)
class _Writer:
    gaussians: Gaussians
    parameters: ExportParameters
    title: str

    def write(self, kind: ExportFormat, folder: Path) -> None:
        if kind == "glb":
            surface = mesh_of(self.gaussians, self.parameters.mesh)
            write_textured_glb(self.gaussians, surface, folder / "object.glb", self.parameters.mesh)
        elif kind == "spz":
            write_compact(self.gaussians, folder / "object.spz")
        elif kind == "splat":
            write_splats(self.gaussians, folder / "object.splat", "splat")
        elif kind == "compressed_ply":
            write_splats(self.gaussians, folder / "object.compressed.ply", "ply_compressed")
        elif kind == "html":
            path = self.parameters.path
            look = FirstLook(path.elevation_deg, path.distance, path.field_of_view_deg)
            page = splats_page(self.gaussians, self.title, look)
            (folder / "object.html").write_text(page, encoding="utf-8")
        elif kind == "png":
            write_pngs(self._pictures, folder / "pictures")
        elif kind == "gif":
            write_gif(self._pictures, folder / "turn.gif", self.parameters.path.fps)
        elif kind == "mp4":
            write_video(self._pictures, folder / "turn.mp4", self.parameters.path.fps)

    @cached_property
    def _pictures(self) -> list[Image.Image]:
        return pictures_along(self.gaussians, self.parameters.path)
