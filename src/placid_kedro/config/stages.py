"""Parameters of the stages between the prompt and the finished splats."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from placid_kedro.distillation import TimestepSchedule
from placid_kedro.parameter_types import (
    Elevation,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    Range,
)
from placid_kedro.splats import DensificationConfig

FieldOfView = Annotated[float, Field(gt=0, lt=180)]


class ReferenceParameters(ParameterModel):
    """Stage `reference`: one image of the object from the front, its background removed.

    Attributes:
        template: text of the image, with the place `{prompt}`.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        margin: the object is centred with this border on each side, as a share of the image; null leaves it
            where the model drew it.
    """

    template: Annotated[str, Field(pattern=r"\{prompt\}")]
    steps: PositiveInt
    guidance_scale: NonNegativeFloat
    margin: Annotated[float, Field(ge=0, lt=0.5)] | None


class MultiviewParameters(ParameterModel):
    """Stage `multiview`: views round the object from the reference, enhanced by Latent-Plane (Sec. 4.1, 4.2).

    Attributes:
        views: number of views, evenly spaced in azimuth from the front on.
        elevation_deg: of all views.
        distance: of the cameras from the origin, in edges of the object's cube.
        field_of_view_deg: full angle of the square images.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        plane_preset: `paper`, `official` or `frugal`: when Latent-Plane acts (`placid_kedro.latent_plane.presets`).
        points_per_block: points evaluated at once; the memory grows with it, the result does not change.
    """

    views: PositiveInt
    elevation_deg: Elevation
    distance: PositiveFloat
    field_of_view_deg: FieldOfView
    steps: PositiveInt
    guidance_scale: NonNegativeFloat
    plane_preset: Literal["paper", "official", "frugal"]
    points_per_block: PositiveInt


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
        resolution: samples of the density field along each edge of the cube.
        points: number of Gaussians at the start.
        opacity: of each Gaussian at the start.
    """

    source: Annotated[DensitySource | SphereSource | RandomSource | FileSource, Field(discriminator="kind")]
    resolution: Annotated[int, Field(ge=8)]
    points: Annotated[int, Field(ge=2)]
    opacity: Annotated[float, Field(gt=0, lt=1)]


class LoraParameters(ParameterModel):
    """Stage `lora`: the text-to-image UNet's attention learns the views and their directional prompts (Sec.
    4.1).

    Attributes:
        rank: of the update matrices.
        learning_rate: of AdamW.
        steps: of training.
        batch_size: views a step.
    """

    rank: PositiveInt
    learning_rate: PositiveFloat
    steps: NonNegativeInt
    batch_size: PositiveInt


class DecayParameters(ParameterModel):
    """A learning rate that falls log-linearly over the run."""

    start: PositiveFloat
    end: PositiveFloat


class LearningRates(ParameterModel):
    """Of Adam, for each parameter of the Gaussians; `position` is multiplied by the scene's extent."""

    position: DecayParameters
    colour: DecayParameters
    scale: DecayParameters
    rotation: DecayParameters
    opacity: DecayParameters


_CAMERA_BOUNDS = {
    "distance": (0.0, float("inf")),
    "elevation_deg": (-90.0, 90.0),
    "field_of_view_deg": (0.0, 180.0),
}


class RandomCameraParameters(ParameterModel):
    """Cameras that a distillation step draws: distances in edges of the object's cube, angles in degrees."""

    distance: Range
    elevation_deg: Range
    field_of_view_deg: Range

    @model_validator(mode="after")
    def _ascending(self) -> "RandomCameraParameters":
        for name in type(self).model_fields:
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"should have its lower bound first, but {name} is [{low}, {high}]")
        for name, (lowest, highest) in _CAMERA_BOUNDS.items():
            low, high = getattr(self, name)
            if not lowest < low <= high < highest:
                raise ValueError(
                    f"should keep {name} between {lowest} and {highest}, but it is [{low}, {high}]"
                )
        return self


class LossWeights(ParameterModel):
    """Weights of the terms that are added to the distillation gradient."""

    guidance: PositiveFloat
    colour_variation: NonNegativeFloat
    depth_variation: NonNegativeFloat
    scale: NonNegativeFloat


class BsdParameters(ParameterModel):
    """Stage `bsd_3dgs`: score distillation of the fine-tuned model into the splats (Sec. 4.3, 4.1).

    Which algorithm, and its own parameters, stand in the group `distillation`.

    Attributes:
        steps: of the optimisation.
        cameras_per_step: rendered and distilled at once.
        image_size: pixels along each edge of the rendered images.
        timesteps: which noise levels are visited when.
        depth_share: share of the steps in which the depth map is encoded instead of the colours.
        flip_probability: of mirroring a rendered image.
        backgrounds: behind the rendered images, drawn anew each step: white, black or a random colour.
        image_every: steps between two recorded images; 0 records none.
    """

    steps: NonNegativeInt
    cameras_per_step: PositiveInt
    image_size: Annotated[int, Field(ge=16, multiple_of=8)]
    timesteps: TimestepSchedule
    depth_share: Fraction
    flip_probability: Fraction
    backgrounds: Annotated[tuple[Literal["white", "black", "random"], ...], Field(strict=False, min_length=1)]
    image_every: NonNegativeInt
    cameras: RandomCameraParameters
    learning_rates: LearningRates
    densification: DensificationConfig
    losses: LossWeights


class EvaluationParameters(ParameterModel):
    """Stage `t3bench_eval`: does the object match its prompt? And the turntable that shows it.

    Attributes:
        views: rendered for the scorer, evenly spaced in azimuth.
        elevation_deg: of these views.
        distance: of the cameras from the origin.
        field_of_view_deg: full angle of the square images.
        image_size: pixels along each edge of the scored images.
        turntable_size: pixels along each edge of the video.
        turntable_frames: frames of one turn.
    """

    views: PositiveInt
    elevation_deg: Elevation
    distance: PositiveFloat
    field_of_view_deg: FieldOfView
    image_size: Annotated[int, Field(ge=16)]
    turntable_size: Annotated[int, Field(ge=16, multiple_of=2)]
    turntable_frames: PositiveInt
