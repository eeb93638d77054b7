"""Parameters of a Latent-Plane and of its training, and of the stage `latent_plane_train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

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


class PlaneModuleParameters(ParameterModel):
    """What a new Latent-Plane is like (see `placid_kedro.latent_plane.LatentPlane`).

    Attributes:
        share_layers, combination, missed_rays: see `placid_kedro.latent_plane.LatentPlanePreset`.
        token_channels, octaves, heads, density_head_width, feature_head_width: sizes of the module.
        samples_per_ray: along each ray through the cube.
        feature_samples: features are evaluated at the heaviest so many samples of a ray; 0 for all.
        occupancy_threshold: rays with less occupancy get no features.
        lattice_size: points an axis of the coarse grid that finds empty space; 0 for none.
        lattice_threshold: densities are evaluated where the grid promises a larger rendering weight.
        density_refinement: how many times as fine as the UNet's maps are those that the density reads; 1 for the same.
        silhouette_factor: pixels of the reference's silhouette along a texel's side, which the density reads; 0 for
            none.
        block: of the UNet that is enhanced; empty for the paper's choice.
    """

    share_layers: bool
    combination: Literal["add", "blend"]
    missed_rays: Literal["empty", "crossed"]
    token_channels: PositiveInt
    octaves: PositiveInt
    heads: PositiveInt
    density_head_width: PositiveInt
    feature_head_width: PositiveInt
    samples_per_ray: Annotated[int, Field(ge=2)]
    feature_samples: NonNegativeInt
    occupancy_threshold: Fraction
    lattice_size: NonNegativeInt
    lattice_threshold: Fraction
    density_refinement: PositiveInt
    silhouette_factor: NonNegativeInt
    block: str

    def module_config(self) -> dict[str, Any]:
        """The same as arguments of `LatentPlane`."""
        return {
            "token_channels": self.token_channels,
            "num_octaves": self.octaves,
            "num_heads": self.heads,
            "density_head_dim": self.density_head_width,
            "feature_head_dim": self.feature_head_width,
            "samples_per_ray": self.samples_per_ray,
            "feature_samples": self.feature_samples or None,
            "occupancy_threshold": self.occupancy_threshold,
            "lattice_size": self.lattice_size,
            "lattice_threshold": self.lattice_threshold,
            "density_refinement": self.density_refinement,
            "silhouette_factor": self.silhouette_factor,
            "block": self.block or None,
            "share_layers": self.share_layers,
            "combination": self.combination,
            "missed_rays": self.missed_rays,
        }


class PlaneLearningParameters(PlaneModuleParameters):
    """What a Latent-Plane learns from, beside the objects themselves.

    Attributes:
        reference_front: share of the rings that begin at the front; the others begin anywhere.
        supervision_views: true views of an object that rays are drawn from.
        reference_supervision: share of the objects whose reference is one of these views in any case.
        rays: drawn for each object.
        supervision_samples: points on each of these rays.
        gradient_threshold: see `placid_kedro.latent_plane.training.losses.RaySampling`; 0 for gradients everywhere.
        overlap_weight: see `placid_kedro.latent_plane.training.losses.DensityTerms`; 0 is the paper's loss.
        pure_noise_share: see `placid_kedro.latent_plane.training.objectives.DensityLearning`; 0 is the paper's.
    """

    reference_front: Fraction
    supervision_views: PositiveInt
    reference_supervision: Fraction
    rays: PositiveInt
    supervision_samples: Annotated[int, Field(ge=2)]
    gradient_threshold: NonNegativeFloat
    overlap_weight: NonNegativeFloat
    pure_noise_share: Fraction

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
