"""A distillation into Gaussians that is over in a moment."""

from typing import Any

from placid_kedro.distillation.splats_config import BsdParameters

PROMPTS = {45.0 * index: f"view {index}" for index in range(8)}
SIZE = 32
FILM = {"moments": 3, "image_size": SIZE, "elevation_deg": 20.0, "distance": 1.5, "field_of_view_deg": 50.0}


def settings(**changes: Any) -> BsdParameters:
    constant = {"start": 0.05, "end": 0.05}
    still = {"start": 1e-6, "end": 1e-6}
    values: dict[str, Any] = {
        "steps": 40,
        "cameras_per_step": 2,
        "image_size": SIZE,
        "scene_extent": 1.0,
        "timesteps": {"kind": "uniform", "low": 0.02, "high": 0.7},
        "view_prompts": "all",
        "latents": "mode",
        "encoded_at_once": None,
        "depth_share": 0.0,
        "flip_probability": 0.0,
        "backgrounds": ("white",),
        "image_every": 0,
        "film": FILM,
        "cameras": {
            "distance": (1.5, 1.5),
            "distance_shrink": None,
            "elevation_deg": (20.0, 20.0),
            "field_of_view_deg": (50.0, 50.0),
        },
        "learning_rates": {
            "position": still,
            "colour": constant,
            "scale": still,
            "rotation": still,
            "opacity": still,
        },
        "densification": {"start": 1000, "stop": 1000},
        "losses": {"guidance": 1.0, "colour_variation": 0.0, "depth_variation": 0.0, "scale": 0.0},
        "anchor": None,
        "unseen": None,
    }
    return BsdParameters.model_validate({**values, **changes})
