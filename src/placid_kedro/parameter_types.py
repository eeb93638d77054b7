"""Base and field types of the parameter models. Imports nothing of the project: every package may use it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# YAML has lists only; strict models would refuse them where a tuple is meant.
Range = Annotated[tuple[float, float], Field(strict=False)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Elevation = Annotated[float, Field(gt=-90, lt=90)]
FieldOfView = Annotated[float, Field(gt=0, lt=180)]


class ParameterModel(BaseModel):
    """Base of the parameter models: immutable, no unknown names, no silent conversion between types.

    The values themselves stand in `conf/`; a model holds names, types and bounds only, so that a default is
    written in one place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
