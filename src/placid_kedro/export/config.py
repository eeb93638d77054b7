"""Parameters of the pipeline `export`; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from placid_kedro.parameter_types import (
    Elevation,
    FieldOfView,
    ImageSize,
    ParameterModel,
    PositiveFloat,
    Views,
)

ExportFormat = Literal["glb", "spz", "splat", "compressed_ply", "html", "png", "gif", "mp4"]


class MeshParameters(ParameterModel):
    """How Gaussians become a textured mesh.

    Attributes:
        resolution: grid points along an edge of the cube; the grid grows with an object that stands out of the cube.
        level: optical depth at which the surface lies; an opaque Gaussian alone has log 2 = 0.69 or more at its centre.
        outline: how far the mesh's edges are moved from there towards the outline of the Gaussians' renders.
        smallest_part: pieces of less than this share of the largest one's volume are left out.
        faces: that the mesh is simplified to; parting sheets that touch adds a few.
        texture_size: texels along each edge of the texture.
        baking_size: pixels along each edge of the renders that its colours come from.
    """

    resolution: Annotated[int, Field(ge=16, le=512)]
    level: PositiveFloat
    outline: Annotated[float, Field(ge=0, le=1)]
    smallest_part: Annotated[float, Field(ge=0, le=1)]
    faces: Annotated[int, Field(ge=100, le=10_000_000)]
    texture_size: Annotated[int, Field(ge=64, le=8192)]
    baking_size: ImageSize


class CameraPath(ParameterModel):
    """A turn around the object, for pictures.

    Attributes:
        frames: evenly spaced, the first from the front.
        elevation_deg: of the cameras.
        distance: of the cameras from the origin.
        field_of_view_deg: full angle of the square images.
        size: pixels along an edge.
        fps: frames a second, of GIF and MP4.
    """

    frames: Views
    elevation_deg: Elevation
    distance: PositiveFloat
    field_of_view_deg: FieldOfView
    size: ImageSize
    fps: Annotated[int, Field(ge=1, le=50)]


class ExportParameters(ParameterModel):
    """Pipeline `export`: a finished object in formats of other programs.

    Attributes:
        formats: what is written: `glb`, a mesh with a texture; `spz`, `splat` and `compressed_ply`, splats
            without spherical harmonics that nobody uses; `html`, a page that turns them; `png`, pictures with
            alpha; `gif` and `mp4`, a turn over white.
        mesh: of the GLB.
        path: of the camera, for PNG, GIF and MP4; a page begins with its first view.
    """

    formats: Annotated[tuple[ExportFormat, ...], Field(strict=False, min_length=1)]
    mesh: MeshParameters
    path: CameraPath

    @model_validator(mode="after")
    def _even(self) -> "ExportParameters":
        if "mp4" in self.formats and self.path.size % 2:
            raise ValueError(f"should have an even path.size for mp4, but it is {self.path.size}")
        return self
