"""Parameters of the stages `reference` and `lora`; imports no torch."""

from typing import Annotated

from pydantic import AfterValidator, Field

from placid_kedro.parameter_types import (
    NonNegativeFloat,
    ParameterModel,
    PositiveFloat,
    SamplingSteps,
    Steps,
    only_places,
)


class ReferenceParameters(ParameterModel):
    """Stage `reference`: one image of the object from the front, its background removed.

    Attributes:
        template: text of the image, with the place `{prompt}`.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        margin: the object is centred with this border on each side, as a share of the image; null leaves it
            where the model drew it.
    """

    template: Annotated[str, Field(pattern=r"\{prompt\}"), AfterValidator(only_places("prompt"))]
    steps: SamplingSteps
    guidance_scale: NonNegativeFloat
    margin: Annotated[float, Field(ge=0, lt=0.5)] | None


class LoraParameters(ParameterModel):
    """Stage `lora`: the text-to-image UNet's attention learns the views and their directional prompts (Sec.
    4.1).

    Attributes:
        rank: of the update matrices.
        learning_rate: of AdamW.
        steps: of training.
        batch_size: views a step.
    """

    rank: Annotated[int, Field(gt=0, le=4096)]
    learning_rate: PositiveFloat
    steps: Steps
    batch_size: Annotated[int, Field(gt=0, le=4096)]
