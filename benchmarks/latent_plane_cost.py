"""What Latent-Plane adds to the cost of sampling views.

    python benchmarks/latent_plane_cost.py [--prompt "a wooden chair"]      # the embedded models as they are shipped
    python benchmarks/latent_plane_cost.py --model zero123-xl --device cuda # that UNet's real sizes, random weights

For the embedded model eight views of an image that the text-to-image model draws are sampled without the plane, with
every sample of every ray in every step, and with the shortcuts that are shipped (coarse grid, heaviest samples, the
steps of the preset "frugal"); prints seconds, ratios, and how far the shortcuts move pixels. Random weights cost what
trained ones cost except for what is skipped in empty space: there the density is an opaque sphere's, evaluated beside
the plane's own, and a guided step is timed. On the CPU the process's own time is measured, so that other load on the
machine does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from placid_kedro.cameras import multiview_cameras
from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.diffusion.text_to_image import load_text_to_image, sample_images
from placid_kedro.latent_plane import (
    Evaluation,
    LatentPlane,
    LatentPlaneAttachment,
    ObjectInputs,
    SamplingPolicy,
    preset,
)
from placid_kedro.latent_plane.evaluation.fast import DensityAt, FastEvaluator
from placid_kedro.latent_plane.geometry import SampledPoints, UnsampledPoints
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.surface.background import remove_background
from placid_kedro.threads import set_cpu_threads

T = TypeVar("T")
VIEWS = 8
ZERO123_XL = {
    "sample_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
KEPT: dict[str, Any] = {"feature_samples": 4, "occupancy_threshold": 1e-2}
PLANES: dict[str, dict[str, Any]] = {
    "paper": {"evaluation": Evaluation(**KEPT)},
    "paper, with a coarse grid": {"evaluation": Evaluation(lattice_size=16, **KEPT)},
    "16 samples a ray, 4 heads, with a coarse grid": {
        "samples_per_ray": 16,
        "num_heads": 4,
        "evaluation": Evaluation(lattice_size=16, **KEPT),
    },
}


class SphereEvaluator(FastEvaluator):
    """Pays for the plane's density, then goes on with that of a sphere of half the cube's width."""

    def density_of(self, inputs: ObjectInputs) -> DensityAt:
        own = super().density_of(inputs)

        def sphere(points: SampledPoints | UnsampledPoints) -> Tensor:
            positions = points[:].embedding[:, :3]
            return torch.where(positions.norm(dim=-1) < 0.25, 60.0, -20.0) + 0 * own(points)

        return sphere


class SpherePlane(LatentPlane):
    """A plane whose object is always the sphere."""

    @property
    def evaluator(self) -> SphereEvaluator:
        return SphereEvaluator(self)


def timed(action: Callable[[], T], repeats: int, device: str) -> tuple[float, T]:
    """Seconds of the fastest of `repeats` runs after one that warms up, and the last one's result."""

    def clock() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    result = action()
    times = []
    for _ in range(repeats):
        start = clock()
        result = action()
        times.append(clock() - start)
    return min(times), result


def embedded(given: argparse.Namespace) -> None:
    device = torch.device("cpu")
    model = load_novel_view(given.models / "zero123", device)
    plane = load_component(given.models / "latent_plane", "latent_plane")
    cameras = multiview_cameras(model.image_size)
    (reference,) = sample_images(
        load_text_to_image(given.models / "text_to_image", device),
        [given.prompt],
        steps=25,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(0),
    )
    silhouette = remove_background(reference)[3]
    frugal = preset("frugal").sampling
    every_step = replace(frugal, active_fraction=1.0, renewal_interval=1)

    def sample(plane: LatentPlane | None, policy: SamplingPolicy = every_step) -> Tensor:
        return sample_views(
            model,
            Subject(reference=reference, reference_camera=cameras[0]),
            cameras,
            steps=given.steps,
            guidance_scale=2.0,
            generator=torch.Generator().manual_seed(0),
            plane=plane,
            policy=policy,
            silhouette=silhouette,
        ).images

    thorough = plane.with_evaluation(Evaluation())
    plain, without = timed(lambda: sample(None), given.repeats, "cpu")
    print(f"embedded, {VIEWS} views, {given.steps} steps: {plain:.2f} s without Latent-Plane", flush=True)
    seconds, exact = timed(lambda: sample(thorough), given.repeats, "cpu")
    print(f"  every sample, every step: {seconds:.2f} s, ratio {seconds / plain:.2f}", flush=True)
    effect = (exact - without).square().mean().sqrt()
    print(f"  what the plane changes: {float(effect):.5f} root mean square of pixels")
    for name, policy in (("every step", every_step), ("the steps of the preset frugal", frugal)):
        seconds, enhanced = timed(partial(sample, plane, policy), given.repeats, "cpu")
        difference = enhanced - exact
        print(
            f"  grid and heaviest samples, {name}: {seconds:.2f} s, ratio {seconds / plain:.2f}; moves pixels by "
            f"{float(difference.square().mean().sqrt()):.5f} root mean square, "
            f"{float(difference.abs().max()):.3f} at most",
            flush=True,
        )


def zero123_xl(given: argparse.Namespace) -> None:
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(ZERO123_XL).to(given.device).eval()
    config, batch = unet.config, 2 * VIEWS
    sample = torch.randn(batch, config.in_channels, config.sample_size, config.sample_size)
    states = torch.randn(batch, 1, config.cross_attention_dim)
    sample, states = sample.to(given.device), states.to(given.device)

    def step() -> Tensor:
        output: Tensor = unet(sample, 500, states).sample
        return output

    plain, _ = timed(step, given.repeats, given.device)
    print(f"zero123-xl, {VIEWS} guided views: {plain:.3f} s a step without Latent-Plane")
    for name, sizes in PLANES.items():
        plane = SpherePlane(
            config.block_out_channels[1],
            unet.time_embedding.linear_2.out_features,
            **sizes,
        )
        plane.to(given.device).eval()
        with LatentPlaneAttachment(unet, plane, guided=True, branches="conditional"):
            enhanced, _ = timed(step, given.repeats, given.device)
        ratio = enhanced / plain
        print(f"  {name}: {enhanced:.3f} s, ratio {ratio:.2f}", end="")
        print(f", over 50 steps of which 45 enhanced {0.1 + 0.9 * ratio:.2f}", flush=True)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=("embedded", "zero123-xl"), default="embedded")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the embedded models")
    parser.add_argument("--prompt", default="a wooden chair")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--device", default="cpu", help="of zero123-xl")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if given.threads:
        set_cpu_threads(given.threads)
    if given.model == "embedded":
        embedded(given)
    else:
        zero123_xl(given)


if __name__ == "__main__":
    main()
