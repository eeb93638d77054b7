"""Typed parameters: one frozen model a stage, and `Parameters`, the whole tree that
`conf/*/parameters*.yml` fill.

Kedro builds a stage's model from the type hint of the node that takes `params:NAME`; the whole tree is
checked once before anything else happens (`placid_kedro.config.check`). A new stage adds its model and a
line in `Parameters`.
"""

from typing import Annotated

from pydantic import Field

from placid_kedro.ablation.config import AblationParameters
from placid_kedro.config.imports import ImportParameters, LatentPlaneFiles
from placid_kedro.config.run import ModelsParameters, RunParameters, TrackingParameters
from placid_kedro.diffusion.config import LoraParameters
from placid_kedro.distillation import DistillationConfig
from placid_kedro.distillation.lab.config import Distill2dParameters
from placid_kedro.distillation.splats_config import AnchorParameters, BsdParameters
from placid_kedro.embedded.training.config import PretrainParameters
from placid_kedro.evaluation.config import EvaluateParameters, EvaluationParameters
from placid_kedro.export.config import ExportParameters
from placid_kedro.latent_plane.config import MultiviewParameters
from placid_kedro.latent_plane.training.config import LatentPlaneTrainParameters
from placid_kedro.objects.config import FilterParameters, IngestParameters, RenderParameters, ScoreRule
from placid_kedro.parameter_types import ParameterModel
from placid_kedro.prompts.config import PromptProcessorParameters
from placid_kedro.splats.config import SplatsImport
from placid_kedro.surface.config import InitParameters
from placid_kedro.surface.reference_config import ReferenceParameters


class Parameters(ParameterModel):
    """Every parameter of the project.

    Attributes:
        prompt: the object to make, in English words.
        seed: of every random number of the run.
        experiment: name of the folder that the artifacts of this prompt and seed go into, beside those of other
            experiments; words with hyphens, dots or slashes between them, or empty.
    """

    prompt: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    experiment: Annotated[str, Field(pattern=r"^([\w-][\w.-]*(/[\w-][\w.-]*)*)?$")]
    run: RunParameters
    models: ModelsParameters
    tracking: TrackingParameters
    prompt_processor: PromptProcessorParameters
    reference: ReferenceParameters
    multiview: MultiviewParameters
    init: InitParameters
    lora: LoraParameters
    distillation: DistillationConfig
    bsd_3dgs: BsdParameters
    t3bench_eval: EvaluationParameters
    evaluate: EvaluateParameters
    export: ExportParameters
    objaverse_ingest: IngestParameters
    syncdreamer_render: RenderParameters
    filter: FilterParameters
    latent_plane_train: LatentPlaneTrainParameters
    import_models: ImportParameters
    import_splats: SplatsImport
    pretrain: PretrainParameters
    distill_2d: Distill2dParameters
    ablation: AblationParameters


__all__ = [
    "AblationParameters",
    "AnchorParameters",
    "BsdParameters",
    "Distill2dParameters",
    "DistillationConfig",
    "EvaluateParameters",
    "EvaluationParameters",
    "ExportParameters",
    "FilterParameters",
    "ImportParameters",
    "IngestParameters",
    "InitParameters",
    "LatentPlaneFiles",
    "LatentPlaneTrainParameters",
    "LoraParameters",
    "ModelsParameters",
    "MultiviewParameters",
    "ParameterModel",
    "Parameters",
    "PretrainParameters",
    "PromptProcessorParameters",
    "ReferenceParameters",
    "RenderParameters",
    "RunParameters",
    "ScoreRule",
    "SplatsImport",
    "TrackingParameters",
]
