"""What the settings of a Latent-Plane may be."""

from __future__ import annotations

from typing import Any, get_args

from placid_kedro.cameras.rays import MissedRays
from placid_kedro.errors import ParameterError
from placid_kedro.latent_plane.combinations import COMBINATIONS


def check_plane_config(config: Any) -> None:
    """Refuse a `LatentPlane`'s saved or given config that no plane can have.

    Raises:
        ParameterError: for sizes below one or an unknown choice.
    """
    for name in (
        "feature_channels",
        "time_embedding_dim",
        "token_channels",
        "num_layers",
        "num_heads",
        "density_head_dim",
        "feature_head_dim",
    ):
        if config[name] < 1:
            raise ParameterError(f"Latent-Plane's {name} must be at least 1, got {config[name]}.")
    if config["samples_per_ray"] < 2:
        raise ParameterError(f"samples_per_ray must be at least 2, got {config['samples_per_ray']}.")
    if config["combination"] not in COMBINATIONS:
        raise ParameterError(
            f"combination must be one of {sorted(COMBINATIONS)}, got {config['combination']!r}."
        )
    if config["missed_rays"] not in get_args(MissedRays):
        raise ParameterError(
            f"missed_rays must be one of {list(get_args(MissedRays))}, got {config['missed_rays']!r}."
        )
