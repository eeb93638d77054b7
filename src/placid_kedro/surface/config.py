"""Parameters of the stage `init`."""

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.parameter_types import (
    ParameterModel,
    PositiveFloat,
)


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


class DensitySource(ParameterModel):
    """Points on the surface of Latent-Plane's density field (the paper)."""

    kind: Literal["density"] = "density"
    level: Annotated[InitLevel, Field(discriminator="kind")]


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


class InitParameters(ParameterModel):
    """Stage `init`: points become Gaussians (Sec. 4.1).

    Attributes:
        source: where the points come from.
        points: number of Gaussians at the start.
        opacity: of each Gaussian at the start.
    """

    source: Annotated[DensitySource | SphereSource | RandomSource | FileSource, Field(discriminator="kind")]
    points: Annotated[int, Field(ge=2)]
    opacity: Annotated[float, Field(gt=0, lt=1)]
