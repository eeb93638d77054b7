"""One training of a Latent-Plane, put together from its parameters, whatever its objects come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.networks import Denoiser
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.training.batches import BatchShape, PlaneBatches, PlaneObjects
from placid_kedro.latent_plane.training.config import PlaneLearningParameters
from placid_kedro.latent_plane.training.recipe import PlaneStage, StageName, make_plane, train_plane
from placid_kedro.training import TrainingContext, Validation


def no_validation(stage: StageName) -> Validation | None:
    """Nothing is measured during the training."""
    return None


@dataclass(frozen=True, eq=False)
class PlaneTraining:
    """A Latent-Plane from nothing to trained: first its density, then its features (Sec. 4.2).

    Attributes:
        unet: of the multi-view model, frozen.
        schedule: of that UNet.
        cameras: the plane's N views.
        objects: what is learned from.
        choose: draws the index of an object.
        parameters: of the plane and of its learning.
        place: where and how.
        data_id: what the batches are made of.
        validation: what measures during a stage.
        gradient_checkpointing: evaluate each block anew in the backward pass, for less memory.
    """

    unet: Denoiser
    schedule: NoiseSchedule
    cameras: Cameras
    objects: PlaneObjects
    choose: Callable[[torch.Generator], int]
    parameters: PlaneLearningParameters
    place: TrainingContext
    data_id: str
    validation: Callable[[StageName], Validation | None] = no_validation
    gradient_checkpointing: bool = False

    def run(self) -> LatentPlane:
        """The trained plane, on the CPU."""
        plane = make_plane(self.unet, self.cameras, self.place.seed, **self.parameters.module_config())
        plane.gradient_checkpointing = self.gradient_checkpointing
        stages = (self._stage("density", self.parameters.rays), self._stage("features", 0))
        learning = self.parameters.density_learning()
        train_plane(plane, self.unet, self.schedule, stages, self.place, self.data_id, learning)
        return plane

    def _stage(self, name: StageName, rays: int) -> PlaneStage:
        parameters = self.parameters
        loop = parameters.density if name == "density" else parameters.features
        shape = BatchShape(
            views=len(self.cameras),
            objects=loop.batch_size,
            reference_front=parameters.reference_front,
            supervision_views=parameters.supervision_views,
            rays=rays,
            reference_supervision=parameters.reference_supervision,
        )
        batches = PlaneBatches(self.objects, self.choose, shape, self.place.device)
        return PlaneStage(name, batches, loop.settings(self.place.seed), self.validation(name))
