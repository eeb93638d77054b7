"""Compiled kernels of a plane before its first use, as a set-up wants them."""

from __future__ import annotations

from pathlib import Path

import torch

from placid_kedro.latent_plane.inputs import ObjectInputs
from placid_kedro.latent_plane.plane import LatentPlane

_EDGE = 4


def compile_kernels(folder: Path) -> None:
    """Compile what sampling with a plane takes on a CPU, or load it from numba's cache.

    About half a minute on one free core the first time, two seconds from then on.

    Args:
        folder: a model folder in the diffusers layout with a component `latent_plane`.

    Raises:
        ResourceError: numba's cache cannot be written.
    """
    plane = LatentPlane.from_pretrained(folder, subfolder="latent_plane")
    # Every ray counts, so that the features' kernel is called as well.
    plane = plane.with_evaluation(plane.evaluation.model_copy(update={"occupancy_threshold": 0.0}))
    silhouette_edge = plane.silhouette_factor * _EDGE
    inputs = ObjectInputs(
        torch.zeros(len(plane.cameras), plane.feature_channels, _EDGE, _EDGE),
        torch.zeros(plane.time_embedding_dim),
        torch.ones(silhouette_edge, silhouette_edge) if silhouette_edge else None,
    )
    with torch.no_grad():
        plane.enhance(inputs.batch)
