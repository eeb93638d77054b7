"""Parameters of the run as a whole."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from placid_kedro.parameter_types import (
    NonNegativeFloat,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
)


def _several(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else (given,) if isinstance(given, str) else given


def _shortest(sources: tuple[str, ...]) -> str | tuple[str, ...]:
    return sources[0] if len(sources) == 1 else sources


# Best first; one alone needs no list.
ModelSources = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    BeforeValidator(_several),
    PlainSerializer(_shortest),
]


class RunParameters(ParameterModel):
    """Where and how the stages compute.

    Attributes:
        device: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:N`.
        precision: of the weights of UNets and autoencoders, `float32` or `bf16`; dot products stay float32.
        threads: threads of the CPU kernels; 0 takes all cores.
        report_seconds: longest silence of a run on a terminal or in a log.
        checkpoint_seconds: time between two checkpoints of a long loop; 0 leaves one after every step.
        free_disk_mb: disk space in MiB that must be free under the data root before a run starts.
    """

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    threads: Annotated[int, Field(ge=0, le=4096)]
    report_seconds: PositiveFloat
    free_disk_mb: NonNegativeFloat
    checkpoint_seconds: NonNegativeFloat = 20.0
    precision: Literal["float32", "bf16"] = "float32"


class ModelsParameters(ParameterModel):
    """Where each model comes from.

    Each is one source or a list of them, of which the first that can be had is taken. A name that begins with `.`, `/`
    or `~` is a local folder in the diffusers layout (relative to the project's folder); any other name is a model on
    the hub, `owner/name` or, for a branch, a tag or a commit, `owner/name@revision`.
    """

    text_to_image: ModelSources
    zero123: ModelSources
    latent_plane: ModelSources
    scorer: ModelSources
    mvdream: ModelSources = ("ashawkey/mvdream-sd2.1-diffusers", "dylanebert/mvdream")
    shap_e: ModelSources = ("openai/shap-e",)


class TrackingParameters(ParameterModel):
    """How runs are recorded in MLflow.

    Attributes:
        enabled: record runs at all.
        uri: tracking store; the environment variable `MLFLOW_TRACKING_URI` goes before it.
        experiment: name of the experiment.
        timeout_seconds: longest wait for one request to a tracking server.
        batch_steps: step metrics are sent in batches of this many steps.
        run: id of a run that is there already and is recorded in; empty opens a new one.
    """

    enabled: bool
    uri: Annotated[str, Field(min_length=1)]
    experiment: Annotated[str, Field(min_length=1)]
    timeout_seconds: Annotated[int, Field(gt=0, le=86_400)]
    batch_steps: PositiveInt
    run: str = ""
