"""Parameters of the run as a whole."""

from typing import Annotated

from pydantic import Field

from placid_kedro.parameter_types import (
    NonNegativeFloat,
    NonNegativeInt,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
)

ModelSource = Annotated[str, Field(min_length=1)]


class RunParameters(ParameterModel):
    """Where and how the stages compute.

    Attributes:
        device: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:N`.
        threads: threads of the CPU kernels; 0 takes all cores.
        report_seconds: longest silence of a run on a terminal or in a log.
        checkpoint_seconds: time between two checkpoints of a long loop; 0 leaves one after every step.
        free_disk_mb: disk space in MiB that must be free under the data root before a run starts.
    """

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    threads: NonNegativeInt
    report_seconds: PositiveFloat
    free_disk_mb: NonNegativeFloat
    checkpoint_seconds: NonNegativeFloat = 20.0


class ModelsParameters(ParameterModel):
    """Where each model comes from.

    A name that begins with `.`, `/` or `~` is a local folder in the diffusers layout (relative to the
    project's folder); any other name is a hub id.
    """

    text_to_image: ModelSource
    zero123: ModelSource
    latent_plane: ModelSource
    scorer: ModelSource


class TrackingParameters(ParameterModel):
    """How runs are recorded in MLflow.

    Attributes:
        enabled: record runs at all.
        uri: tracking store; the environment variable `MLFLOW_TRACKING_URI` goes before it.
        experiment: name of the experiment.
        timeout_seconds: longest wait for one request to a tracking server.
        batch_steps: step metrics are sent in batches of this many steps.
    """

    enabled: bool
    uri: Annotated[str, Field(min_length=1)]
    experiment: Annotated[str, Field(min_length=1)]
    timeout_seconds: PositiveInt
    batch_steps: PositiveInt
