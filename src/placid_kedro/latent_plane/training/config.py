"""Parameters of the stage `latent_plane_train`."""

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.embedded.training.config import LoopParameters, PlaneLearningParameters
from placid_kedro.parameter_types import Fraction, NonNegativeInt, ParameterModel, PositiveInt


class PlaneLoopParameters(LoopParameters):
    """One of the two stages.

    Attributes:
        accumulate: batches that each process handles for one step; a step sees batch_size * accumulate * processes
            objects.
    """

    accumulate: PositiveInt

    @property
    def samples(self) -> int:
        """How many objects a process sees."""
        return super().samples * self.accumulate


class PlaneValidationParameters(ParameterModel):
    """What is measured on held-out objects during training.

    Attributes:
        share: of the objects, at least one, that are held out, drawn by seed; those that share a name with one of
            them are held out as well.
        objects: at most so many of them are measured.
        noise_levels: shares of the model's timesteps at which its features are taken.
        views: true views of each object that the density is compared with.
        size: side of the compared silhouettes in pixels.
    """

    share: Annotated[float, Field(ge=0, lt=1)]
    objects: PositiveInt
    noise_levels: Annotated[tuple[Fraction, ...], Field(strict=False, min_length=1)]
    views: PositiveInt
    size: Annotated[int, Field(ge=8)]


class LatentPlaneTrainParameters(PlaneLearningParameters):
    """Stage `latent_plane_train`: a Latent-Plane for the model `models.zero123` (Sec. 4.2, App. D).

    Attributes:
        views: N of the plane, evenly spaced in azimuth; the training set's first ring holds a multiple of them.
        precision: `no` (float32), `bf16` or `fp16`; `auto` takes bf16 where the hardware computes in it.
        points_per_block: points evaluated at once; the memory grows with it, the result does not change.
        gradient_checkpointing: evaluate each block anew in the backward pass, for less memory.
        cache_mb: MiB of latents that are kept in memory; others are encoded anew when they are needed.
        checkpoints: folder that an interrupted training goes on from.
        validation: on held-out objects.
        density, features: the two stages.
    """

    views: PositiveInt
    precision: Literal["no", "bf16", "fp16", "auto"]
    points_per_block: PositiveInt
    gradient_checkpointing: bool
    cache_mb: NonNegativeInt
    checkpoints: Annotated[str, Field(min_length=1)]
    validation: PlaneValidationParameters
    density: PlaneLoopParameters
    features: PlaneLoopParameters
