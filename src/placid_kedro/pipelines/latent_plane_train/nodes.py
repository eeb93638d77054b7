"""Nodes of the stage `latent_plane_train`."""

import logging
from pathlib import Path

from placid_kedro.app.run_context import current_run
from placid_kedro.config import LatentPlaneTrainParameters, RunParameters
from placid_kedro.pipelines.types import FolderWriter, ModelSource, PlaneTrainingReport

logger = logging.getLogger(__name__)


def train_on_set(
    training_set: Path,
    seed: int,
    run: RunParameters,
    zero123: ModelSource,
    parameters: LatentPlaneTrainParameters,
) -> tuple[FolderWriter, PlaneTrainingReport]:
    """Train a Latent-Plane for a multi-view model: its density, then its features.

    Returns:
        The plane, and what it was trained and measured on.
    """
    from placid_kedro.latent_plane.training.export import LatentPlaneFolder
    from placid_kedro.latent_plane.training.on_set import TrainingOnSet
    from placid_kedro.objects.dataset import RenderedObjects
    from placid_kedro.pipelines.loading import folder_of, start, taken_source
    from placid_kedro.training import make_accelerator

    device = start(run)
    accelerator = make_accelerator(parameters.precision, cpu=device.type == "cpu")
    objects = RenderedObjects.open(training_set)
    training = TrainingOnSet(
        objects, training_set, folder_of(zero123), parameters, seed, accelerator, current_run().progress
    )
    if accelerator.is_main_process:
        for line in training.lines():
            logger.info(line)
    plane = training.run()
    return LatentPlaneFolder(plane), training.report(plane, taken_source(zero123))
