"""What the settings of a Latent-Plane may be."""

from __future__ import annotations

from typing import Any

from placid_kedro.errors import ParameterError
from placid_kedro.latent_plane.combinations import COMBINATIONS


def check_plane_config(config: Any) -> None:
    """Refuse a `LatentPlane`'s saved or given config that no plane can have.

    Raises:
        ParameterError: for sizes below one, a grid of one point or an unknown choice.
    """
    for name in (
        "feature_channels",
        "time_embedding_dim",
        "token_channels",
        "num_layers",
        "num_heads",
        "density_head_dim",
        "feature_head_dim",
        "block_size",
        "density_refinement",
    ):
        if config[name] < 1:
            raise ParameterError(f"Latent-Plane's {name} must be at least 1, got {config[name]}.")
    if config["silhouette_factor"] < 0:
        raise ParameterError(f"silhouette_factor must not be negative, got {config['silhouette_factor']}.")
    if config["silhouette_factor"] % config["density_refinement"]:
        raise ParameterError(
            f"silhouette_factor must be a multiple of density_refinement, got {config['silhouette_factor']} "
            f"and {config['density_refinement']}."
        )
    if config["samples_per_ray"] < 2:
        raise ParameterError(f"samples_per_ray must be at least 2, got {config['samples_per_ray']}.")
    if config["feature_samples"] is not None and config["feature_samples"] < 1:
        raise ParameterError(f"feature_samples must be at least 1, got {config['feature_samples']}.")
    if config["lattice_size"] < 0 or config["lattice_size"] == 1:
        raise ParameterError(f"lattice_size must be 0 or at least 2, got {config['lattice_size']}.")
    if config["combination"] not in COMBINATIONS:
        raise ParameterError(
            f"combination must be one of {sorted(COMBINATIONS)}, got {config['combination']!r}."
        )
    if config["missed_rays"] not in ("empty", "crossed"):
        raise ParameterError(f"missed_rays must be 'empty' or 'crossed', got {config['missed_rays']!r}.")
