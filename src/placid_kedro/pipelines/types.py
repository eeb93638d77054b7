"""Types of what nodes hand on. Kedro evaluates a node's annotations to build its parameters, so the names must exist
at run time; the classes behind them would load torch at start-up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure
    from torch import Tensor

    from placid_kedro.cameras import Cameras, PosedViews
    from placid_kedro.datasets.folders import FolderWriter
    from placid_kedro.distillation.lab.experiment import LabRun
    from placid_kedro.distillation.lab.report import LabReport
    from placid_kedro.distillation.summary import DistillationSummary
    from placid_kedro.embedded.training.cost import PretrainPlan
    from placid_kedro.evaluation.report import Report
    from placid_kedro.latent_plane.training.report import PlaneTrainingReport
    from placid_kedro.objects.training_set import TrainingSet
    from placid_kedro.splats import Gaussians, TargetViews
    from placid_kedro.surface.point_clouds import PointCloud
else:
    DataFrame = DistillationSummary = Figure = FolderWriter = PlaneTrainingReport = PretrainPlan = (
        TrainingSet
    ) = Any
    Cameras = Gaussians = LabReport = LabRun = PointCloud = PosedViews = Report = TargetViews = Tensor = Any

# One source of a model or several, best first (see `placid_kedro.models.find_model`).
ModelSource = str | Sequence[str]

__all__ = [
    "Cameras",
    "DataFrame",
    "DistillationSummary",
    "Figure",
    "FolderWriter",
    "Gaussians",
    "LabReport",
    "LabRun",
    "ModelSource",
    "PlaneTrainingReport",
    "PointCloud",
    "PosedViews",
    "PretrainPlan",
    "Report",
    "TargetViews",
    "Tensor",
    "TrainingSet",
]
