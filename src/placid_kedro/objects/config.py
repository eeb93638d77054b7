"""Settings of the stages between an object library and a training set; imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from placid_kedro.parameter_types import (
    Azimuth,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    Range,
    Workers,
)

Words = Annotated[tuple[str, ...], Field(strict=False)]
ElevationRange = Annotated[Range, Field(strict=False)]


class ObjaverseSource(ParameterModel):
    """Which objects of Objaverse are taken.

    Attributes:
        cache: folder that holds `hf-objaverse-v1`, as the `objaverse` package lays it out.
        select: `cached` (what the cache holds), `lvis` (by category), `list` (a csv of `000-xxx,uid` lines) or
            `random` (of all uids, with the run's seed).
        categories: LVIS categories for `lvis`; none means all.
        list: path or URL of the csv for `list`.
        count: at most that many objects; 0 takes all that were selected.
        captions: path or URL of a csv of `uid,caption` lines; empty for none. Other objects are called by
            their name in Objaverse, else by their LVIS category.
        download: fetch what the cache lacks; otherwise it is rejected.
        processes: parallel downloads.
    """

    cache: str
    select: Literal["cached", "lvis", "list", "random"]
    categories: Words
    list: str
    count: NonNegativeInt
    captions: str
    download: bool
    processes: PositiveInt


class SweetHome3dSource(ParameterModel):
    """Furniture libraries of Sweet Home 3D.

    Attributes:
        folder: where the `.sh3f` files are; the Debian package `sweethome3d-furniture` puts them into
            /usr/share/sweethome3d/furniture.
        libraries: file names without ending; none means all.
        count: at most that many objects; 0 takes all.
    """

    folder: str
    libraries: Words
    count: NonNegativeInt


class FolderSource(ParameterModel):
    """Files of one's own.

    Attributes:
        folder: with GLB, GLTF or OBJ files, searched to the bottom.
        captions: csv with a column `file` (path inside the folder) or `uid`, and a column `caption`; optional
            columns `name`, `category`, `licence`, `attribution`. Empty for none.
        licence: of the objects for which the csv gives none.
        count: at most that many objects; 0 takes all.
    """

    folder: str
    captions: str
    licence: str
    count: NonNegativeInt


class IngestParameters(ParameterModel):
    """Stage `objaverse_ingest`: one table of objects from the chosen sources.

    Attributes:
        sources: `objaverse`, `sweethome3d`, `folder`; several with commas between them.
        converted: folder for files that had to be converted to GLB.
        workers: processes that convert; 0 takes all cores.
    """

    sources: Annotated[
        str, Field(pattern=r"^(objaverse|sweethome3d|folder)(,(objaverse|sweethome3d|folder))*$")
    ]
    converted: str
    workers: Workers
    objaverse: ObjaverseSource
    sweethome3d: SweetHome3dSource
    folder: FolderSource

    @property
    def source_names(self) -> tuple[str, ...]:
        """The chosen sources in order, each once."""
        return tuple(dict.fromkeys(self.sources.split(",")))


class Ring(ParameterModel):
    """Views that are evenly spaced in azimuth.

    Attributes:
        views: how many.
        elevation_deg: bounds from which each view's elevation is drawn; equal bounds fix it.
        first_azimuth_deg: of the first view, counter-clockwise from the front; the others follow in that direction.
    """

    views: PositiveInt
    elevation_deg: ElevationRange
    first_azimuth_deg: Azimuth = 0.0

    @model_validator(mode="after")
    def _ascending(self) -> Ring:
        low, high = self.elevation_deg
        if not -90 < low <= high < 90:
            raise ValueError(f"should have -90 < lower <= upper < 90 in elevation_deg, not [{low}, {high}]")
        return self


class RenderProtocol(ParameterModel):
    """From where an object is seen (SyncDreamer's protocol, which the paper takes over: Sec. 4.2).

    Attributes:
        size: pixels along each edge.
        focal_at_256: focal length in pixels of an image of 256 pixels.
        distance: of the cameras from the origin, in edges of the object's cube.
        rings: the views, in the order in which they are stored.
    """

    size: Annotated[int, Field(ge=8)]
    focal_at_256: PositiveFloat
    distance: Annotated[float, Field(gt=0.87)]
    rings: Annotated[tuple[Ring, ...], Field(strict=False, min_length=1)]

    @property
    def view_count(self) -> int:
        """Views of one object."""
        return sum(ring.views for ring in self.rings)


class EmbreeParameters(ParameterModel):
    """The ray caster on the CPU.

    Attributes:
        supersample: rays per pixel along each axis.
    """

    supersample: PositiveInt


class BlenderParameters(ParameterModel):
    """Blender's Cycles, which runs as a program of its own.

    Attributes:
        command: a Python interpreter that has `bpy`, or a `blender` executable.
        samples: per pixel.
        denoise: with Open Image Denoise.
        device: `CPU`, `CUDA`, `OPTIX`, `HIP`, `METAL` or `ONEAPI`.
    """

    command: Annotated[str, Field(min_length=1)]
    samples: PositiveInt
    denoise: bool
    device: Literal["CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"]


class RenderLimits(ParameterModel):
    """What one object may cost before it is given up.

    Attributes:
        seconds: of processor time for rendering, loading included: a busy machine changes nothing.
        memory_mb: MiB that its process may allocate.
        file_mb: MiB of its file.
        faces: triangles.
        texture_megapixels: of one texture, in 2^20 pixels.
    """

    seconds: PositiveFloat
    memory_mb: PositiveInt
    file_mb: PositiveInt
    faces: PositiveInt
    texture_megapixels: PositiveInt


class ClusterParameters(ParameterModel):
    """Where objects are rendered.

    Attributes:
        scheduler: address of a dask scheduler, as `tcp://host:8786`; empty starts workers on this machine.
        workers: of this machine; 0 takes all cores.
    """

    scheduler: str
    workers: Workers


class DeformationParameters(ParameterModel):
    """Other proportions for every object, drawn by its uid and the seed.

    Attributes:
        stretch: largest natural logarithm of an axis's factor, either way.
        taper: largest widening of the top beside the middle, either way, as a share.
        turn_deg: largest turn about the vertical axis, either way.
    """

    stretch: NonNegativeFloat
    taper: Annotated[float, Field(ge=0, lt=2)]
    turn_deg: NonNegativeFloat


class RenderParameters(ParameterModel):
    """Stage `syncdreamer_render`.

    Attributes:
        renderer: `embree` or `blender`.
        folder: where the views of each object go; all workers must see it.
        deformation: of the objects before they are rendered; None leaves them as they are.
    """

    renderer: Literal["embree", "blender"]
    folder: str
    protocol: RenderProtocol
    embree: EmbreeParameters
    blender: BlenderParameters
    limits: RenderLimits
    cluster: ClusterParameters
    deformation: DeformationParameters | None = None

    @model_validator(mode="after")
    def _deforms_what_it_loads(self) -> RenderParameters:
        if self.deformation is not None and self.renderer != "embree":
            raise ValueError(
                "should have renderer: embree with a deformation, Blender reads the files itself"
            )
        return self


class CaptionRule(ParameterModel):
    """LGM's automatic rule on captions.

    Attributes:
        enabled: whether it is applied.
        stop_words: expressions that reject a caption in which they occur anywhere, in any case; a path or URL
            of a list with one a line, or empty for LGM's own.
        max_commas: a caption with more commas is rejected.
    """

    enabled: bool
    stop_words: str
    max_commas: NonNegativeInt


class ScoreRule(ParameterModel):
    """RichDreamer's rule: an image-text score must reach a threshold.

    RichDreamer's authors keep what reaches a CLIP cosine of 0.28, 170,000 of 220,000 objects
    (github.com/modelscope/richdreamer, issue 65). On the embedded scorer a minimum of 0 cuts about as much: of 60
    pieces of furniture that it was not trained on, 73% reach it with their own names, and 56% with others'. So weak a
    judge is off by default.

    Attributes:
        enabled: whether it is applied; it needs a scorer.
        kind: of the scorer: `embedded`, this project's own, or `clip`, any CLIP of transformers, as in RichDreamer.
        scorer: folder or hub id of the model.
        minimum: least score, a mean cosine.
        views: of each object that are scored, evenly taken from all.
    """

    enabled: bool
    kind: Literal["embedded", "clip"]
    scorer: Annotated[str, Field(min_length=1)]
    minimum: float
    views: PositiveInt


class RenderRule(ParameterModel):
    """What the renders themselves tell.

    Attributes:
        coverage: least share of pixels that the object covers in every view.
        margin: how far the visible surface may lie outside the cube, in edges of the cube.
        require_color: reject an object whose file says nothing of colours.
        color_deviation: least root mean square deviation of the surface's colour from its mean, in [0, 1].
        faces: least number of triangles.
    """

    coverage: Fraction
    margin: NonNegativeFloat
    require_color: bool
    color_deviation: NonNegativeFloat
    faces: NonNegativeInt


class FilterParameters(ParameterModel):
    """Stage `filter`.

    Attributes:
        keep_list: path or URL of a list of uids; every other object is rejected. Empty for none.
        reject_list: path or URL of a list of uids that are rejected. Empty for none.
        sheet_objects: examples on the contact sheet.
    """

    keep_list: str
    reject_list: str
    captions: CaptionRule
    renders: RenderRule
    score: ScoreRule
    sheet_objects: PositiveInt
