"""A Latent-Plane's training on a finished training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from placid_kedro.diffusion.loading import model_identity
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.files import digest_of, file_hash
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.training.assembly import PlaneTraining
from placid_kedro.latent_plane.training.config import LatentPlaneTrainParameters
from placid_kedro.latent_plane.training.rendered import RenderedPlaneObjects
from placid_kedro.latent_plane.training.report import PlaneTrainingReport
from placid_kedro.latent_plane.training.validation import PlaneValidation, ValidationSettings
from placid_kedro.objects.dataset import TABLE, RenderedObjects
from placid_kedro.objects.split import split_objects
from placid_kedro.progress import Progress
from placid_kedro.training import TrainingContext

# Of the parameters, what neither the batches nor the start values depend on.
_NOT_IN_DATA: dict[str, Any] = {
    "density": True,
    "features": True,
    "validation": True,
    "checkpoints": True,
    "cache_mb": True,
    "precision": True,
    "gradient_checkpointing": True,
    "evaluation": {"method", "block_size"},
}


class TrainingOnSet:
    """The parts of a training on a finished set.

    Args:
        objects: of the set.
        training_set: its folder.
        model_folder: of the multi-view model.
        parameters: of the stage.
        seed: of everything random.
        accelerator: of this process.
        progress: shows steps and receives metrics.

    Raises:
        DataError, ParameterError: the views do not begin with a ring that holds the plane's views.
        ModelError: the model cannot be loaded.
    """

    def __init__(
        self,
        objects: RenderedObjects,
        training_set: Path,
        model_folder: Path,
        parameters: LatentPlaneTrainParameters,
        seed: int,
        accelerator: Accelerator,
        progress: Progress,
    ) -> None:
        self.objects = objects
        self.parameters = parameters
        self.seed = seed
        # An object without a name is known by its caption, or is its own namesake.
        names = [
            name or caption or uid
            for name, caption, uid in zip(objects.names, objects.captions, objects.uids, strict=True)
        ]
        self.split = split_objects(names, parameters.validation.share, seed)
        self.model = load_novel_view(model_folder, accelerator.device)
        self.trained = self._source(self.split.trained)
        self.held_out = self._source(self.split.held_out) if self.split.held_out else None
        self.model_identity = model_identity(model_folder)
        self.data_id = self._data_id(training_set)
        # A folder for each set of data: a run on other data begins anew, beside the checkpoints of this one.
        folder = Path(parameters.checkpoints) / self.data_id
        self.place = TrainingContext(accelerator, folder, seed, progress)

    def _source(self, chosen: tuple[int, ...]) -> RenderedPlaneObjects:
        return RenderedPlaneObjects(
            self.objects, chosen, self.model, self.parameters.views, self.parameters.cache_mb
        )

    def _data_id(self, training_set: Path) -> str:
        """What batches and start values are made of."""
        return digest_of(
            file_hash(training_set / TABLE),
            self.model_identity,
            list(self.split.trained),
            self.seed,
            self.parameters.model_dump(
                mode="json",
                exclude=_NOT_IN_DATA,
            ),
        )

    def lines(self) -> list[str]:
        """What is about to happen, for a reader."""
        split, parameters = self.split, self.parameters
        processes = self.place.accelerator.num_processes
        stages = ", ".join(
            f"{name} {loop.steps} steps of {loop.batch_size * loop.accumulate * processes} objects"
            for name, loop in (("density", parameters.density), ("features", parameters.features))
        )
        held_out = f"{len(split.held_out)} held out for validation"
        if not split.held_out and parameters.validation.share:
            held_out = "none held out, because the set is too small to split: there is no validation"
        shared = f", {len(split.withheld)} left out that share a name with those" if split.withheld else ""
        return [
            f"latent_plane_train: {len(split.trained)} objects, {held_out}{shared}",
            f"latent_plane_train: {stages}, {parameters.views} views each, on {processes} x {self.place.device}; an "
            "interrupted run goes on where it was",
        ]

    def run(self) -> LatentPlane:
        """The trained plane, on the CPU."""
        count = len(self.trained)

        def choose(generator: torch.Generator) -> int:
            return int(torch.randint(count, (), generator=generator))

        return PlaneTraining(
            unet=self.model.unet,
            schedule=self.model.schedule,
            cameras=self.trained.cameras,
            objects=self.trained,
            choose=choose,
            parameters=self.parameters,
            place=self.place,
            data_id=self.data_id,
            validation=lambda stage: self.validation(features=stage == "features"),
            gradient_checkpointing=self.parameters.gradient_checkpointing,
        ).run()

    def validation(self, features: bool) -> PlaneValidation | None:
        """What measures on held-out objects, where there are some; also the diffusion loss with `features`."""
        if self.held_out is None:
            return None
        given = self.parameters.validation
        settings = ValidationSettings(
            objects=given.objects,
            noise_levels=given.noise_levels,
            views=given.views,
            size=given.size,
            features=features,
            seed=self.seed,
        )
        return PlaneValidation(
            self.held_out, self.model.unet, self.model.schedule, settings, self.place.device
        )

    def report(self, plane: Any, model: str) -> PlaneTrainingReport:
        """Measure the finished plane on the held-out objects, and say what it was made of.

        Args:
            plane: the trained `LatentPlane`; it ends on the CPU.
            model: name of the multi-view model.
        """
        validation = self.validation(features=True)
        measured: dict[str, float] = {}
        if validation is not None and self.place.accelerator.is_main_process:
            numbers = validation(plane.to(self.place.device), self.parameters.features.steps)
            measured = {name.removeprefix("validation/"): value for name, value in numbers.items()}
            plane.to("cpu")
        uids = self.objects.uids
        trained, held_out, withheld = (
            tuple(uids[index] for index in part)
            for part in (self.split.trained, self.split.held_out, self.split.withheld)
        )
        return PlaneTrainingReport(
            model=model,
            model_identity=self.model_identity,
            trained=trained,
            held_out=held_out,
            withheld=withheld,
            density_steps=self.parameters.density.steps,
            features_steps=self.parameters.features.steps,
            validation=measured,
        )
