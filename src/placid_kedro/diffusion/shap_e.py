"""Shap-E (Jun and Nichol 2023, arXiv 2305.02463): from a prompt to an implicit object, through diffusers' pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import ShapEPipeline
from torch import Tensor

from placid_kedro.diffusion.loading import load_component
from placid_kedro.finite import check_finite
from placid_kedro.models.suitability import SHAP_E_PARTS
from placid_kedro.progress import SILENT, Progress

_BLOCK = 65536
# The branch that Shap-E makes its meshes from: a signed distance and a texture, without a direction of view.
_SURFACE: dict[str, Any] = {"direction": None, "ts": None, "nerf_level": "fine", "rendering_mode": "stf"}


@dataclass(frozen=True, eq=False)
class ShapEField:
    """An object that Shap-E drew, in its own axes: z up, inside the cube [-1, 1]^3.

    Attributes:
        network: the small network whose weights Shap-E drew.
        device: that it is on.
    """

    network: Any
    device: torch.device

    @torch.no_grad()
    def at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Signed distance [P], positive inside, and sRGB colours [P, 3] in [0, 1] at points [P, 3], all on the CPU.

        Raises:
            NumericError: a value is not finite.
        """
        given = [self.network(position=block.to(self.device), **_SURFACE) for block in points.split(_BLOCK)]
        distances = torch.cat([one.signed_distance[..., 0].float().cpu() for one in given])
        colors = torch.cat([one.channels.float().cpu() for one in given])
        check_finite(
            {"distance": distances, "colours": colors}, "Shap-E's object", "give another in models.shap_e"
        )
        return distances, colors


class _TrackedPipeline(ShapEPipeline):
    """diffusers' pipeline whose steps the house's progress shows."""

    shown: Progress = SILENT

    def progress_bar(self, iterable: Iterable[Any]) -> Iterator[Any]:
        steps = list(iterable)
        return iter(self.shown.track(steps, total=len(steps), description="Shap-E"))


def load_shap_e(folder: Path, device: torch.device) -> Any:
    """diffusers' `ShapEPipeline` of a folder in its layout, on a device.

    They stay float32 whatever `run.precision` says: the field's network is given sines of 2^14 times a position.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    pipeline: Any = _TrackedPipeline(**{part: load_component(folder, part) for part in SHAP_E_PARTS})
    return pipeline.to(device)


@torch.no_grad()
def sample_field(
    pipeline: Any,
    prompt: str,
    *,
    steps: int,
    guidance_scale: float,
    generator: torch.Generator,
    progress: Progress = SILENT,
) -> ShapEField:
    """Draw an object.

    Args:
        pipeline: of `load_shap_e`; a field drawn before it changes with the next one, they share a network.
        prompt: in words; CLIP reads 77 tokens.
        steps: of Heun's method, two evaluations each but for the last.
        guidance_scale: of classifier-free guidance.
        generator: draws the start noise, on the CPU.
        progress: shows the steps.
    """
    pipeline.shown = progress
    latents = pipeline(
        prompt,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=generator,
        output_type="latent",
    ).images
    renderer = pipeline.shap_e_renderer
    drawn = {name.removeprefix("nerstf."): value[0] for name, value in renderer.params_proj(latents).items()}
    renderer.mlp.load_state_dict({**renderer.mlp.state_dict(), **drawn})
    return ShapEField(renderer.mlp, pipeline.device)
