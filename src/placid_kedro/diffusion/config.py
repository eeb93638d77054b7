"""Parameters of the stage `lora`, and what is known of models without loading one; imports no torch."""

from typing import Annotated

from pydantic import Field

from placid_kedro.parameter_types import ParameterModel, PositiveFloat, Steps

# That MVDream draws together; so many it was trained with.
MVDREAM_VIEWS = 4


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
