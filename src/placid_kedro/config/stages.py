"""Parameters of the stages between the prompt and the finished splats."""

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.parameter_types import (
    Elevation,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
)

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
        block_size: points evaluated at once; the memory grows with it, the result does not change.
        density_resolution: samples of the density field along each edge of the cube.
    """

    views: PositiveInt
    elevation_deg: Elevation
    distance: PositiveFloat
    field_of_view_deg: FieldOfView
    steps: PositiveInt
    guidance_scale: NonNegativeFloat
    plane_preset: Literal["paper", "official", "frugal"]
    block_size: PositiveInt
    density_resolution: Annotated[int, Field(ge=8)]


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
