"""How exactly and how fast a plane is evaluated; imports no torch. What a plane is like stands in `LatentPlane`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from placid_kedro.parameter_types import NonNegativeInt, ParameterModel, PositiveInt

Method = Literal["auto", "reference", "folded", "compiled"]


class Evaluation(ParameterModel):
    """Choices that trade exactness for speed; the defaults leave the result as it is.

    Attributes:
        method: "reference" calculates Eq. 3-9 as they stand, without any shortcut below; "folded" with matrices that
            are multiplied once; "compiled" with a loop for the CPU that has no gradients; "auto" is compiled where
            that can be, else folded.
        block_size: points that are processed at a time; bounds the memory.
        feature_samples: the feature part is evaluated at the heaviest so many samples of a ray, which stand for all of
            its weight; null for all samples.
        occupancy_threshold: rays with less occupancy get no features at all; 0 for none such.
        lattice_size: points an axis of a coarse grid of densities that tells where to look closer; 0 for none.
        lattice_threshold: the density of a sample is evaluated where the interpolated densities give it a larger
            rendering weight; elsewhere it is the interpolated one.
    """

    method: Method = "auto"
    block_size: PositiveInt = 16384
    feature_samples: PositiveInt | None = None
    occupancy_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    lattice_size: NonNegativeInt = 0
    lattice_threshold: float = 0.05

    @field_validator("lattice_size")
    @classmethod
    def _no_single_point(cls, value: int) -> int:
        if value == 1:
            raise ValueError("should be 0 or at least 2, but is 1")
        return value
