"""Parameters of the laboratory that compares the distillation algorithms in 2D."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from placid_kedro.distillation import DistillationConfig, TimestepSchedule
from placid_kedro.distillation.config import SweptPreset
from placid_kedro.parameter_types import (
    Names,
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
)

# As MLflow allows in the names of metrics.
RunName = Annotated[str, Field(pattern=r"^[\w .-]+$")]


class LabSizeParameters(ParameterModel):
    """How much the laboratory does.

    Attributes:
        prompts: every one is combined with every seed.
        seeds: of the noise that all algorithms start from.
        converged: steps after which the algorithms have converged.
        over_trained: steps of the whole run, the paper's over-training; the claims are judged here.
        truth_per_prompt: samples of ordinary diffusion a prompt, the first ones from the algorithms' own noise.
        lam: values of BSD's lam (Fig. 5).
        ratios: fixed ratios of the two guidances without balancing (Fig. 10).
    """

    prompts: Names
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(strict=False, min_length=1)]
    converged: PositiveInt
    over_trained: PositiveInt
    truth_per_prompt: PositiveInt
    lam: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)]
    ratios: Annotated[tuple[NonNegativeFloat, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.over_trained <= self.converged:
            raise ValueError(
                f"should have more over_trained steps than converged ones, but has {self.over_trained} "
                f"and {self.converged}"
            )
        if self.truth_per_prompt < len(self.seeds):
            raise ValueError(
                f"should have a truth_per_prompt of at least its {len(self.seeds)} seeds, "
                f"but it is {self.truth_per_prompt}"
            )
        for name in ("prompts", "seeds", "lam", "ratios"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"should name each of its {name} once, but has {list(values)}")
        return self


class TruthParameters(ParameterModel):
    """Ordinary diffusion, which the results are compared with: DDIM steps and classifier-free guidance."""

    steps: PositiveInt
    guidance_scale: NonNegativeFloat


class Distill2dParameters(ParameterModel):
    """Pipeline `distill_2d` (Sec. 4.3, Fig. 3, 5, 9, 10, 11).

    Attributes:
        size: name of one of the `sizes`.
        sizes: how much is done, by name.
        algorithms: what is compared, each under a name of its own.
        swept: the preset of BSD, and with it w, at which lam and the fixed ratios are swept.
        learning_rate: of Adam on the latents.
        timesteps: which noise levels are visited when.
        negative_prompt: for the algorithms that take one.
        patience: steps in a row with zero or not finite guidance after which a run stops.
        checkpoint_every: steps between checkpoints, from which an interrupted run goes on.
        truth: ordinary diffusion.
        folder: where the runs and their checkpoints are kept.
    """

    size: str
    sizes: Annotated[dict[str, LabSizeParameters], Field(min_length=1)]
    algorithms: Annotated[dict[RunName, DistillationConfig], Field(min_length=1)]
    swept: SweptPreset
    learning_rate: PositiveFloat
    timesteps: TimestepSchedule
    negative_prompt: Annotated[str, Field(min_length=1)]
    patience: PositiveInt
    checkpoint_every: PositiveInt
    truth: TruthParameters
    folder: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _size_is_known(self) -> Self:
        if self.size not in self.sizes:
            raise ValueError(f"should have a size of {', '.join(self.sizes)}, but it is {self.size!r}")
        return self

    @property
    def chosen(self) -> LabSizeParameters:
        """The size that is run."""
        return self.sizes[self.size]
