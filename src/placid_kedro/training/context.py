"""Where and how a training runs, whatever is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from placid_kedro.progress import SILENT, Progress
from placid_kedro.training.loop import BatchSource, Objective, Validation, train
from placid_kedro.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingContext:
    """Where and how a training runs.

    Attributes:
        accelerator: of this process.
        checkpoints: folder of the checkpoints.
        seed: of everything random.
        progress: shows steps and receives losses and samples.
    """

    accelerator: Accelerator
    checkpoints: Path
    seed: int
    progress: Progress = SILENT

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.accelerator.device

    def train(
        self,
        name: str,
        objective: Objective,
        batches: BatchSource,
        settings: TrainingSettings,
        data_id: str,
        validate: Validation | None = None,
    ) -> None:
        """Train an objective's network; it ends on the CPU, averaged, in evaluation mode.

        Args:
            name: of the training: its checkpoint's, its bar's, and what its metrics begin with.
            objective, batches, settings, data_id, validate: see `placid_kedro.training.train`.
        """
        objective.to(self.device)

        def log(values: dict[str, float], step: int) -> None:
            self.progress.log_metrics(step, {f"{name}/{key}": value for key, value in values.items()})

        train(
            objective,
            batches,
            settings,
            self.accelerator,
            self.checkpoints / f"{name}.pt",
            data_id=data_id,
            log=log,
            validate=validate,
            progress=self.progress,
            description=name,
        )
        # Safetensors holds no other memory format.
        objective.network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def with_seed(seed: int, make: Callable[[], nn.Module]) -> Any:
    """A network whose start values depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
