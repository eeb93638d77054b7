"""Parameters of the stage `bsd_3dgs`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from placid_kedro.distillation.timesteps import TimestepSchedule
from placid_kedro.parameter_types import (
    MOST_PIXELS_ALONG_AN_EDGE,
    Elevation,
    FieldOfView,
    Fraction,
    ImageSize,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    Range,
    Steps,
)
from placid_kedro.splats import DensificationConfig, UnseenParameters

# Which directional prompts are blended by azimuth: all eight, the authors' three, those with a fourth from above as in
# the recipes that they build on, or the three with Perp-Neg.
ViewPrompts = Literal["all", "front_side_back", "front_side_back_overhead", "perp_neg"]


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


class DistanceShrink(ParameterModel):
    """Both bounds of the cameras' distance become smaller as the run goes on.

    Attributes:
        factor: of the bounds, `every` so many steps.
        every: steps.
        floor: no bound falls below its own, in edges of the object's cube.
    """

    factor: Annotated[float, Field(gt=0, lt=1)]
    every: PositiveInt
    floor: Range


class RandomCameraParameters(ParameterModel):
    """Cameras that a distillation step draws: distances in edges of the object's cube, angles in degrees.

    Attributes:
        distance: from the origin, at the start.
        distance_shrink: how they come nearer; null for never.
        elevation_deg: up from the horizon.
        field_of_view_deg: full angle of the square images.
    """

    distance: Range
    distance_shrink: DistanceShrink | None
    elevation_deg: Range
    field_of_view_deg: Range

    @model_validator(mode="after")
    def _ascending(self) -> "RandomCameraParameters":
        for name in _CAMERA_BOUNDS:
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"should have its lower bound first, but {name} is [{low}, {high}]")
        for name, (lowest, highest) in _CAMERA_BOUNDS.items():
            low, high = getattr(self, name)
            if not lowest < low <= high < highest:
                raise ValueError(
                    f"should keep {name} between {lowest} and {highest}, but it is [{low}, {high}]"
                )
        if self.distance_shrink is not None:
            low, high = self.distance_shrink.floor
            if not 0 < low <= high or low > self.distance[0] or high > self.distance[1]:
                raise ValueError(
                    f"should have distance_shrink.floor within (0, distance], but it is [{low}, {high}] "
                    f"with the distance {list(self.distance)}"
                )
        return self

    def distance_at(self, step: int) -> tuple[float, float]:
        """Bounds of the distance in a step, which counts from 0."""
        shrink = self.distance_shrink
        if shrink is None:
            return self.distance
        scale = shrink.factor ** (step // shrink.every)
        low, high = (
            max(bound * scale, least) for bound, least in zip(self.distance, shrink.floor, strict=True)
        )
        return low, high


class LossWeights(ParameterModel):
    """Weights of the terms that are added to the distillation gradient."""

    guidance: PositiveFloat
    colour_variation: NonNegativeFloat
    depth_variation: NonNegativeFloat
    scale: NonNegativeFloat


class AnchorParameters(ParameterModel):
    """The Gaussians keep looking like the posed views while they are distilled; not the paper's.

    Attributes:
        weight: of the views' error (`placid_kedro.splats.TargetViews.error`) beside the other losses.
        views_per_step: drawn without replacement.
        silhouette_weight: of the error of alpha beside that of colours.
        hole_tolerance: what an object encloses in a view is a hole, when it is as white as the background.
    """

    weight: PositiveFloat
    views_per_step: PositiveInt
    silhouette_weight: NonNegativeFloat
    hole_tolerance: Fraction


class FilmParameters(ParameterModel):
    """Pictures that are kept of the optimisation, all from the front.

    Attributes:
        moments: how many, evenly spaced; the start and the end are among them.
        image_size: pixels along each edge.
        elevation_deg: of the camera, up from the horizon.
        distance: of the camera from the origin, in edges of the object's cube.
        field_of_view_deg: full angle of the square images.
    """

    moments: Annotated[int, Field(ge=2, le=100)]
    image_size: ImageSize
    elevation_deg: Elevation
    distance: PositiveFloat
    field_of_view_deg: FieldOfView

    def steps_of(self, steps: int) -> list[int]:
        """How many of `steps` are done at each moment; fewer moments where there are fewer steps."""
        return sorted({round(steps * index / (self.moments - 1)) for index in range(self.moments)})


class BsdParameters(ParameterModel):
    """Stage `bsd_3dgs`: score distillation of the fine-tuned model into the splats (Sec. 4.3, 4.1).

    Which algorithm, and its own parameters, stand in the group `distillation`.

    Attributes:
        steps: of the optimisation.
        cameras_per_step: rendered and distilled at once.
        scene_extent: length that the learning rate of the positions and `densification.percent_dense` refer to, in
            edges of the object's cube.
        image_size: pixels along each edge of the rendered images.
        timesteps: which noise levels are visited when.
        view_prompts: which directional prompts are blended by azimuth, see `placid_kedro.distillation.views`.
        latents: what is distilled of the encoder's distribution, its `mode` or a `sample` of it.
        encoded_at_once: images that the encoder works on at a time, see
            `placid_kedro.diffusion.autoencoding.encode`; null for all.
        depth_share: share of the steps in which the depth map is encoded instead of the colours.
        flip_probability: of mirroring a rendered image.
        backgrounds: behind the rendered images, drawn anew each step: white, black or a random colour.
        image_every: steps between two recorded images; 0 records none.
        film: the pictures of the optimisation that its page shows.
        anchor: how much the posed views hold the Gaussians; null for not at all.
        unseen: which Gaussians go at the end because no view shows them; null keeps all.
    """

    steps: Steps
    cameras_per_step: Annotated[int, Field(gt=0, le=1024)]
    image_size: Annotated[int, Field(ge=16, le=MOST_PIXELS_ALONG_AN_EDGE, multiple_of=8)]
    scene_extent: PositiveFloat
    timesteps: TimestepSchedule
    view_prompts: ViewPrompts
    latents: Literal["mode", "sample"]
    encoded_at_once: PositiveInt | None
    depth_share: Fraction
    flip_probability: Fraction
    backgrounds: Annotated[tuple[Literal["white", "black", "random"], ...], Field(strict=False, min_length=1)]
    image_every: NonNegativeInt
    film: FilmParameters
    cameras: RandomCameraParameters
    learning_rates: LearningRates
    densification: DensificationConfig
    losses: LossWeights
    anchor: AnchorParameters | None
    unseen: UnseenParameters | None
