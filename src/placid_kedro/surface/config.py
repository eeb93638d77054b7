"""Parameters of the stage `init`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from placid_kedro.parameter_types import (
    Fraction,
    NonNegativeFloat,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
)
from placid_kedro.splats.config import UnseenParameters


class IsoLevel(ParameterModel):
    """The surface is where the density softplus(sigma) has this value; the paper's is 15."""

    kind: Literal["density"] = "density"
    density: PositiveFloat


class OccupancyLevel(ParameterModel):
    """The surface is where a layer of `thickness` (edges of the cube) would hide this share of the light."""

    kind: Literal["occupancy"] = "occupancy"
    occupancy: Annotated[float, Field(gt=0, lt=1)]
    thickness: PositiveFloat


class RelativeLevel(ParameterModel):
    """The surface is where the density is this share of the field's maximum."""

    kind: Literal["relative"] = "relative"
    share: Annotated[float, Field(gt=0, lt=1)]


InitLevel = IsoLevel | OccupancyLevel | RelativeLevel


class FitParameters(ParameterModel):
    """A short fit of the first Gaussians to the views (see `placid_kedro.surface.fitting`); not the paper's.

    Attributes:
        steps: of Adam.
        views_per_step: drawn without replacement.
        position, rotation, scale, opacity, colour: learning rates, of Gaussians as their file holds them.
        final_rate: the rates fall log-linearly to this share.
        silhouette_weight: of the error of alpha beside that of colours.
        longest: standard deviation of a Gaussian, in spacings of the start's points.
        thinnest: standard deviation of a Gaussian along any axis, in pixels of the views as they show the cube's
            centre; what is thinner sticks out like a hair where it is seen from its edge.
        minimum_opacity: what ends more transparent is left out.
    """

    steps: PositiveInt = 100
    views_per_step: PositiveInt = 3
    position: PositiveFloat = 1e-3
    rotation: PositiveFloat = 1e-2
    scale: PositiveFloat = 1e-2
    opacity: PositiveFloat = 3e-2
    colour: PositiveFloat = 5e-3
    final_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    silhouette_weight: NonNegativeFloat = 0.3
    longest: PositiveFloat = 2.5
    thinnest: PositiveFloat = 0.2
    minimum_opacity: Annotated[float, Field(ge=0, lt=1)] = 0.05


class CarveParameters(ParameterModel):
    """Density outside the views' silhouettes is taken away (see `placid_kedro.surface.carving`); not the paper's.

    Attributes:
        none_below: share of the views; where fewer show the object there is nothing.
        all_from: share of the views from which on the density stays as it is; between the two it fades.

    Raises:
        ValueError: the second is not above the first.
    """

    none_below: Annotated[float, Field(ge=0, lt=1)]
    all_from: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.all_from <= self.none_below:
            raise ValueError(f"all_from must be above none_below, got {self.all_from} and {self.none_below}")
        return self


class MissingPartsParameters(ParameterModel):
    """Points where views show what the density lacks (see `placid_kedro.surface.missing_parts`); not the paper's.

    Attributes:
        support: share of the views whose silhouette holds such a point.
        lacking: in so many views it is seen where nothing of the start is; the sum of their shares.
        resolution: candidates along each edge of the cube.
        most: points at most.
    """

    support: Fraction = 0.95
    lacking: PositiveFloat = 1.5
    resolution: Annotated[int, Field(ge=8, le=512)] = 128
    most: PositiveInt = 3000


class DensitySource(ParameterModel):
    """Points on the surface of Latent-Plane's density field (the paper).

    Attributes:
        level: where its surface is.
        hole_tolerance: what the object encloses in a view is a hole, when it differs less from the background; 0 fills
            the silhouettes.
        carve: the density by the views' silhouettes, before; null for the paper's initialisation.
        missing_parts: points that the views show and the density lacks; null for the paper's initialisation.
        unseen: which points go before the fit because those in front hide them from all sides; null keeps all.
        fit: of the points' Gaussians to the views, before distillation; null for the paper's initialisation.
    """

    kind: Literal["density"] = "density"
    level: Annotated[InitLevel, Field(discriminator="kind")]
    hole_tolerance: Fraction = 0.0
    carve: CarveParameters | None = None
    missing_parts: MissingPartsParameters | None = None
    unseen: UnseenParameters | None = None
    fit: FitParameters | None = None


class SphereSource(ParameterModel):
    """Grey points on a sphere, a baseline of the ablation."""

    kind: Literal["sphere"] = "sphere"
    radius: Annotated[float, Field(gt=0, le=0.5)] = 0.4


class RandomSource(ParameterModel):
    """Grey points anywhere in the cube, a baseline of the ablation."""

    kind: Literal["random"] = "random"


class FileSource(ParameterModel):
    """Another method's point cloud: a `.ply` file, or Point-E's `.npz`.

    Attributes:
        path: of the file.
        longest_edge: of the cloud's bounding box after it is brought into the cube.
    """

    kind: Literal["file"] = "file"
    path: Annotated[str, Field(min_length=1)]
    longest_edge: Annotated[float, Field(gt=0, le=1)] = 0.9


class ShapESource(ParameterModel):
    """Points on the surface of an object that `models.shap_e` draws from the prompt.

    Attributes:
        steps, guidance_scale: of its sampling; the defaults are its authors'.
        resolution: points along an edge of the grid that its surface is looked for on.
        longest_edge: of the cloud's bounding box after it is brought into the cube.
    """

    kind: Literal["shap_e"] = "shap_e"
    steps: Annotated[int, Field(ge=1, le=1000)] = 64
    guidance_scale: PositiveFloat = 15.0
    resolution: Annotated[int, Field(ge=2, le=512)] = 128
    longest_edge: Annotated[float, Field(gt=0, le=1)] = 0.9


class InitParameters(ParameterModel):
    """Stage `init`: points become Gaussians (Sec. 4.1).

    Attributes:
        source: where the points come from.
        points: number of Gaussians at the start.
        opacity: of each Gaussian at the start.
        thickness: standard deviation along the surface's normal, relative to the others, where points have normals.
    """

    source: Annotated[
        DensitySource | SphereSource | RandomSource | FileSource | ShapESource, Field(discriminator="kind")
    ]
    points: Annotated[int, Field(ge=2, le=20_000_000)]
    opacity: Annotated[float, Field(gt=0, lt=1)]
    thickness: Annotated[float, Field(gt=0, le=1)]
