"""What every node of the generation does first: set the threads, choose the device, find the model's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placid_kedro.config import RunParameters

if TYPE_CHECKING:
    import torch


def start(run: RunParameters) -> torch.device:
    """Set the number of CPU threads and return the device."""
    from placid_kedro.device import resolve_device

    if run.threads:
        from placid_kedro.threads import set_cpu_threads

        set_cpu_threads(run.threads)
    return resolve_device(run.device)


def folder_of(source: str | Sequence[str]) -> Path:
    """The local folder of a model, fetched where it is not here yet; names of folders are relative to the project,
    where `kedro` runs."""
    from placid_kedro.diffusion.loading import model_folder

    return model_folder(source, Path.cwd())


def taken_source(source: str | Sequence[str]) -> str:
    """Where a model of this run comes from: a folder, or `owner/name@commit` on the hub."""
    from placid_kedro.models import find_model

    return find_model(source, Path.cwd()).pinned
