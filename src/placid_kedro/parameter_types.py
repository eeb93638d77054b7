"""Base and field types of the parameter models. Imports nothing of the project: every package may use it."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# YAML has lists only; strict models would refuse them where a tuple is meant.
Range = Annotated[tuple[float, float], Field(strict=False)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

# What more than this could make, nobody waits for.
MOST_STEPS = 10_000_000
MOST_SAMPLING_STEPS = 1000
MOST_VIEWS = 3600
MOST_PIXELS_ALONG_AN_EDGE = 8192
MOST_WORKERS = 1024  # of one machine, each a process

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=0, le=MOST_STEPS)]
SamplingSteps = Annotated[int, Field(gt=0, le=MOST_SAMPLING_STEPS)]  # the models' noise schedules have 1000
Views = Annotated[int, Field(gt=0, le=MOST_VIEWS)]
ImageSize = Annotated[int, Field(ge=16, le=MOST_PIXELS_ALONG_AN_EDGE)]
Workers = Annotated[int, Field(ge=0, le=MOST_WORKERS)]
Elevation = Annotated[float, Field(gt=-90, lt=90)]
Azimuth = Annotated[float, Field(ge=0, lt=360)]
FieldOfView = Annotated[float, Field(gt=0, lt=180)]


def only_places(*known: str) -> Callable[[str], str]:
    """A validator of templates: refuses a place in braces that is none of these, and lone braces."""

    def check(template: str) -> str:
        for place in re.findall(r"{[^{}]*}|[{}]", template):
            if place.strip("{}") not in known:
                shown = ", ".join(f"{{{name}}}" for name in known)
                raise ValueError(f"should have no place but {shown}, and has {place}")
        return template

    return check


# Text with the place `{prompt}`.
Template = Annotated[str, Field(pattern=r"\{prompt\}"), AfterValidator(only_places("prompt"))]


class ParameterModel(BaseModel):
    """Base of the parameter models: immutable, no unknown names, no silent conversion between types.

    The values themselves stand in `conf/`; a model holds names, types and bounds only, so that a default is
    written in one place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
