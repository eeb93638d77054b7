"""Parameters of the pipeline `ablation`; imports no torch."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from placid_kedro.parameter_types import Names, ParameterModel, Workers

# As folders and MLflow's metrics may be called.
Word = Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")]


class AblationParameters(ParameterModel):
    """Pipeline `ablation` (Table 1, Fig. 5): every prompt with every seed in every variant.

    Attributes:
        name: of the sweep, and of the folder that all its artifacts are in.
        known_variants: by name, the parameters that a variant changes, as groups; nothing else belongs to a variant.
        variants: names of those that are run; the others are compared with the first.
        prompts: every one is combined with every seed and variant.
        seeds: of all random numbers.
        scheduler: address of a dask scheduler, as `tcp://host:8786`; empty starts workers on this machine.
        workers: of this machine, each of which runs one object at a time; 0 for one a GPU, or one without a GPU.
    """

    name: Word
    known_variants: Annotated[dict[Word, dict[str, Any]], Field(min_length=1)]
    variants: Names
    prompts: Names
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], Field(strict=False, min_length=1)]
    scheduler: str
    workers: Workers

    @field_validator("variants", "prompts", "seeds")
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("should name each only once")
        return values

    @field_validator("variants")
    @classmethod
    def _known(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = info.data.get("known_variants")
        unknown = [name for name in names if known is not None and name not in known]
        if unknown:
            raise ValueError(
                f"should name known variants, and {unknown[0]!r} is none; there are {', '.join(known or ())}"
            )
        return names
