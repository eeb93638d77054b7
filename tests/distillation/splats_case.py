"""A distillation into Gaussians that is over in a moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch

from placid_kedro.cameras import ring
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.distillation import DistillationConfig
from placid_kedro.distillation.splats import distill
from placid_kedro.distillation.splats_config import BsdParameters
from placid_kedro.splats import Gaussians, render

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


RED = torch.tensor([0.8, 0.2, 0.1])


class PoolingAutoencoder:
    """Latents are the colours in [-1, 1], averaged over 8 x 8 pixels."""

    dtype = torch.float32
    config = SimpleNamespace(scaling_factor=1.0)

    def encode(self, images: torch.Tensor) -> Any:
        latents = torch.nn.functional.avg_pool2d(images, 8)
        spread = torch.full_like(latents, 0.5)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents, mean=latents, std=spread))


@dataclass
class KnowingNetwork:
    """The exact noise predictor of a distribution of one image: `known`, and `blank` without a prompt."""

    schedule: NoiseSchedule
    known: torch.Tensor
    blank: torch.Tensor
    contexts: list[torch.Tensor] = field(default_factory=list)

    def __call__(
        self, x_t: torch.Tensor, t: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: Any
    ) -> Any:
        self.contexts.append(encoder_hidden_states)
        prompted = encoder_hidden_states.flatten(1).any(dim=1)[:, None, None, None]
        image = torch.where(prompted, self.known, self.blank)
        return ((x_t - self.schedule.a(t) * image) / self.schedule.s(t),)


def embed(prompts: Sequence[str]) -> torch.Tensor:
    """Context [B, 1, 8]: one-hot for `view i`, zeros for other texts."""
    rows = [torch.eye(8)[int(p[5:])] if p.startswith("view ") else torch.zeros(8) for p in prompts]
    return torch.stack(rows)[:, None]


def knowing_model(
    target: torch.Tensor, knows_without_prompt: bool = True
) -> tuple[TextToImage, KnowingNetwork]:
    schedule = NoiseSchedule(torch.linspace(0.999, 0.01, 1000))
    known = torch.nn.functional.avg_pool2d(target[None] * 2 - 1, 8)
    network = KnowingNetwork(schedule, known, known if knows_without_prompt else torch.zeros_like(known))
    model = TextToImage(network, PoolingAutoencoder(), embed, None, schedule, torch.device("cpu"))
    return model, network


def picture(gaussians: Gaussians) -> torch.Tensor:
    with torch.no_grad():
        return render(gaussians, ring(1, 20.0, 1.5, 50.0, SIZE), torch.ones(3)).rgb[0]


def run(
    ball: Gaussians, target: torch.Tensor, seed: int = 0, algorithm: str = "sds", **changes: Any
) -> Gaussians:
    # BSD stands still where prompt and no prompt agree.
    model, _ = knowing_model(target, knows_without_prompt=algorithm != "bsd")
    config = DistillationConfig.model_validate({"algorithm": algorithm})
    generator = torch.Generator().manual_seed(seed)
    return distill(ball, model, PROMPTS, config, settings(**changes), generator=generator)


def equal(one: Gaussians, other: Gaussians) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))
