"""What a Latent-Plane is like, as parameters; imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.parameter_types import ParameterModel, PositiveInt


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
