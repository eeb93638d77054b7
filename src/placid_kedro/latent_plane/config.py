"""Parameters of a Latent-Plane and of the stage `multiview`; imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from placid_kedro.parameter_types import (
    Azimuth,
    Elevation,
    FieldOfView,
    NonNegativeFloat,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    SamplingSteps,
    Template,
    Views,
)


class PlaneModuleParameters(ParameterModel):
    """The module's sizes, under the names of `placid_kedro.latent_plane.LatentPlane`'s arguments.

    Attributes:
        share_layers, combination, missed_rays: see `placid_kedro.latent_plane.LatentPlanePreset`.
        token_channels, num_octaves, num_layers, num_heads, density_head_dim, feature_head_dim: of its parts.
        samples_per_ray: along each ray through the cube.
        block: of the UNet that is enhanced; null for the paper's choice.
    """

    share_layers: bool
    combination: Literal["add", "blend"]
    missed_rays: Literal["empty", "crossed"]
    token_channels: PositiveInt
    num_octaves: PositiveInt
    num_layers: PositiveInt
    num_heads: PositiveInt
    density_head_dim: PositiveInt
    feature_head_dim: PositiveInt
    samples_per_ray: Annotated[int, Field(ge=2)]
    block: Annotated[str, Field(min_length=1)] | None


class Zero123Views(ParameterModel):
    """The views are drawn from the reference by `models.zero123`."""

    kind: Literal["zero123"] = "zero123"


class MvdreamViews(ParameterModel):
    """The views are drawn from the prompt by `models.mvdream`, four of them.

    Attributes:
        template: of its text, with the place `{prompt}`.
    """

    kind: Literal["mvdream"] = "mvdream"
    template: Template = "{prompt}, 3d asset"


# `kind` is the model's name among the parameters `models`.
ViewsSource = Zero123Views | MvdreamViews


class LowerRing(ParameterModel):
    """More views from another height, drawn like the others but without Latent-Plane, which is made for one ring.

    Attributes:
        views: number of views, evenly spaced in azimuth.
        elevation_deg: of all of them.
        first_azimuth_deg: of the first, counter-clockwise from the front.
        weight: how often each is looked at, beside the other views, where Gaussians are fitted to all; they are drawn
            less truly.
    """

    views: Views
    elevation_deg: Elevation
    first_azimuth_deg: Azimuth
    weight: Annotated[float, Field(gt=0, le=1)]


class MultiviewParameters(ParameterModel):
    """Stage `multiview`: views round the object, enhanced by Latent-Plane (Sec. 4.1, 4.2).

    Attributes:
        source: what draws them.
        front: `drawn`, as the paper does; or `reference`: the view from the front is the reference itself, from which
            the others were drawn.
        views: number of views, evenly spaced in azimuth from the front on.
        elevation_deg: of all these views.
        lower_ring: more views, which follow them; null for none, as in the paper.
        distance: of the cameras from the origin, in edges of the object's cube.
        field_of_view_deg: full angle of the square images.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        plane_preset: `paper`, `official` or `frugal`: when Latent-Plane acts (`placid_kedro.latent_plane.presets`);
            `none`: never, so that there is no density field (the ablation "w/o Latent-Plane").
        block_size: points evaluated at once; the memory grows with it, the result does not change.
        density_resolution: samples of the density field along each edge of the cube.
    """

    source: Annotated[ViewsSource, Field(discriminator="kind")] = Zero123Views()
    front: Literal["drawn", "reference"]
    views: Views
    elevation_deg: Elevation
    lower_ring: LowerRing | None
    distance: PositiveFloat
    field_of_view_deg: FieldOfView
    steps: SamplingSteps
    guidance_scale: NonNegativeFloat
    plane_preset: Literal["paper", "official", "frugal", "none"]
    block_size: PositiveInt
    density_resolution: Annotated[int, Field(ge=8, le=1024)]

    @model_validator(mode="after")
    def _front_of_the_reference(self) -> Self:
        if self.front == "reference" and self.source.kind != "zero123":
            raise ValueError(
                f"front 'reference' is the view that a zero123 source starts from; with {self.source.kind} give "
                "front: drawn"
            )
        return self

    @model_validator(mode="after")
    def _lower_ring_of_the_reference(self) -> Self:
        if self.lower_ring is not None and self.source.kind != "zero123":
            raise ValueError(
                f"a lower_ring is drawn from the reference by a zero123 source; with {self.source.kind} give "
                "lower_ring: null"
            )
        return self
