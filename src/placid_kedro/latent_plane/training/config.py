"""Parameters of a Latent-Plane and of its training, and of the stage `latent_plane_train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from placid_kedro.latent_plane.config import PlaneModuleParameters
from placid_kedro.latent_plane.evaluation.settings import Evaluation
from placid_kedro.latent_plane.extensions.settings import Extensions
from placid_kedro.parameter_types import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveInt,
)
from placid_kedro.training.config import LoopParameters

if TYPE_CHECKING:
    from placid_kedro.latent_plane.training.objectives import DensityLearning


class PlaneLearningParameters(ParameterModel):
    """A Latent-Plane, and what it learns from beside the objects themselves.

    Attributes:
        plane, extensions, evaluation: of the module.
        reference_front: share of the rings that begin at the front; the others begin anywhere.
        supervision_views: true views of an object that rays are drawn from.
        reference_supervision: share of the objects whose reference is one of these views in any case.
        rays: drawn for each object.
        supervision_samples: points on each of these rays.
        gradient_threshold: see `placid_kedro.latent_plane.training.losses.RaySampling`; 0 for gradients everywhere.
        overlap_weight: see `placid_kedro.latent_plane.training.losses.DensityTerms`; 0 is the paper's loss.
        pure_noise_share: see `placid_kedro.latent_plane.training.objectives.DensityLearning`; 0 is the paper's.
        density, features: the two stages.
    """

    plane: PlaneModuleParameters
    extensions: Extensions
    evaluation: Evaluation
    reference_front: Fraction
    supervision_views: PositiveInt
    reference_supervision: Fraction
    rays: PositiveInt
    supervision_samples: Annotated[int, Field(ge=2)]
    gradient_threshold: NonNegativeFloat
    overlap_weight: NonNegativeFloat
    pure_noise_share: Fraction
    density: LoopParameters
    features: LoopParameters

    def module_config(self) -> dict[str, Any]:
        """The module as arguments of `LatentPlane`."""
        return {**self.plane.model_dump(), "extensions": self.extensions, "evaluation": self.evaluation}

    def density_learning(self) -> DensityLearning:
        """How the density learns."""
        from placid_kedro.latent_plane.training.losses import DensityTerms, RaySampling
        from placid_kedro.latent_plane.training.objectives import DensityLearning

        return DensityLearning(
            DensityTerms(overlap_weight=self.overlap_weight),
            self.pure_noise_share,
            RaySampling(self.supervision_samples, self.gradient_threshold),
        )


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
        gradient_checkpointing: evaluate each block anew in the backward pass, for less memory.
        cache_mb: MiB of latents that are kept in memory; others are encoded anew when they are needed.
        checkpoints: folder that an interrupted training goes on from.
        validation: on held-out objects.
        density, features: the two stages.
    """

    views: PositiveInt
    precision: Literal["no", "bf16", "fp16", "auto"]
    gradient_checkpointing: bool
    cache_mb: NonNegativeInt
    checkpoints: Annotated[str, Field(min_length=1)]
    validation: PlaneValidationParameters
    density: PlaneLoopParameters
    features: PlaneLoopParameters
