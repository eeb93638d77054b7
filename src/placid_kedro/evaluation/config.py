"""Parameters of the stage `t3bench_eval`; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.evaluation.t3bench.config import ScoresParameters
from placid_kedro.parameter_types import (
    MOST_PIXELS_ALONG_AN_EDGE,
    Elevation,
    FieldOfView,
    ImageSize,
    ParameterModel,
    PositiveFloat,
    Views,
)


class NoTruth(ParameterModel):
    """Objects are not compared with real ones."""

    kind: Literal["none"]


class FurnitureTruth(ParameterModel):
    """The furniture libraries that the embedded models have learned from.

    Attributes:
        folder: of the `.sh3f` files; the Debian package `sweethome3d-furniture` puts them into
            /usr/share/sweethome3d/furniture.
    """

    kind: Literal["sweethome3d"]
    folder: str


class FolderTruth(ParameterModel):
    """Meshes of one's own; the object of a prompt is the one whose caption it is, but for case and article.

    Attributes:
        folder: with GLB, GLTF or OBJ files; a file's caption is its name in words.
        captions: csv with the columns `file` and `caption` that gives other ones; empty for none.
    """

    kind: Literal["folder"]
    folder: str
    captions: str = ""


TruthSource = Annotated[NoTruth | FurnitureTruth | FolderTruth, Field(discriminator="kind")]


class EvaluationParameters(ParameterModel):
    """Stage `t3bench_eval`: does the object match its prompt? And the turntable that shows it.

    Attributes:
        views: rendered for the retrieval rank, evenly spaced in azimuth.
        elevation_deg: of these views.
        distance: of the cameras from the origin.
        field_of_view_deg: full angle of the square images.
        image_size: pixels along each edge of the images for the rank.
        turntable_size: pixels along each edge of the video.
        turntable_frames: frames of one turn.
        scores: T3Bench's quality and alignment.
        truth: where the real objects are that the object is compared with.
    """

    views: Views
    elevation_deg: Elevation
    distance: PositiveFloat
    field_of_view_deg: FieldOfView
    image_size: ImageSize
    turntable_size: Annotated[int, Field(ge=16, le=MOST_PIXELS_ALONG_AN_EDGE, multiple_of=2)]
    turntable_frames: Views
    scores: ScoresParameters
    truth: TruthSource


class EvaluateParameters(ParameterModel):
    """Pipeline `evaluate`: a folder of Gaussians, whoever made them.

    Attributes:
        objects: folder of the ply files.
        prompts: path or URL of a text file of one prompt a line, or of a csv with the columns prompt and file.
        name: of the measured row beside the published ones.
        cache: folder in which prompts that come by URL are kept.
        axes: of the files, see `placid_kedro.splats.load_ply`.
        half_edge: half the edge of the cube that the objects lie in, in the files' units: 0.5 for this project's, 1 for
            makers whose objects lie in [-1, 1]; the paper's protocol measures its radius in it.
        scores: who scores, and how finely.
        truth: where the real objects are that the objects are compared with.
    """

    objects: Annotated[str, Field(min_length=1)]
    prompts: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    cache: Annotated[str, Field(min_length=1)]
    axes: Literal["marked", "viewer", "world"]
    half_edge: PositiveFloat
    scores: ScoresParameters
    truth: TruthSource
