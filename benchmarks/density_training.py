"""What it saves to give no gradient to the samples that hardly move their ray, and what it does to the gradient.

    python benchmarks/density_training.py [--prompt "a wooden chair"] [--threads 1]

The embedded models draw an object; the density's loss compares its field, as seen in the first sampling step, with the
silhouettes of the drawn views. Prints, for each `gradient_threshold` of
`placid_kedro.latent_plane.training.losses.RaySampling`,
processor seconds of one forward and backward pass over the rays of one object, their ratio to those without a
threshold, and the cosine and the length ratio of the two gradients.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from placid_kedro.cameras import multiview_cameras
from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.diffusion.text_to_image import load_text_to_image, sample_images
from placid_kedro.latent_plane import LatentPlane, PlaneInputs, preset
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.latent_plane.training.losses import (
    DensityTerms,
    RaySampling,
    density_loss,
    render_density,
    render_rays,
)
from placid_kedro.latent_plane.training.objectives import RaySupervision, sample_supervised_rays
from placid_kedro.surface.background import remove_background
from placid_kedro.threads import set_cpu_threads

SAMPLES_PER_RAY = 32
THRESHOLDS = (0.0, 1e-4, 3e-4, 1e-3, 3e-3)


def drawn_object(given: argparse.Namespace) -> tuple[LatentPlane, PlaneInputs, RaySupervision]:
    """A plane, what it sees of a drawn object, and rays through the drawn views' silhouettes."""
    device = torch.device("cpu")
    model = load_novel_view(given.models / "zero123", device)
    plane: LatentPlane = load_component(given.models / "latent_plane", "latent_plane")
    cameras = multiview_cameras(model.image_size)
    generator = torch.Generator().manual_seed(0)
    text_to_image = load_text_to_image(given.models / "text_to_image", device)
    (reference,) = sample_images(
        text_to_image, [given.prompt], steps=25, guidance_scale=4.0, generator=generator
    )
    views = sample_views(
        model,
        Subject(reference=reference, reference_camera=cameras[0]),
        cameras,
        steps=25,
        guidance_scale=2.0,
        generator=generator,
        plane=plane,
        policy=preset("frugal").sampling,
        silhouette=remove_background(reference)[3],
    )
    inputs = views.plane_inputs
    assert inputs is not None
    masks = torch.stack([remove_background(image)[3] for image in views.images])
    with torch.no_grad():
        depths = render_density(plane, inputs[0], cameras).depth
    return plane, inputs, sample_supervised_rays(cameras, masks, depths, given.rays, generator)


def gradient(
    plane: LatentPlane, inputs: PlaneInputs, rays: RaySupervision, sampling: RaySampling
) -> tuple[float, Tensor]:
    """Processor seconds of a step's two passes, and the gradient of the density's parameters as one vector."""
    parameters = plane.density_parameters()
    start = time.process_time()
    render = render_rays(plane, inputs[0], rays.origins, rays.directions, sampling)
    loss = density_loss(render, rays.mask, rays.depth, DensityTerms(overlap_weight=0.5))["loss"]
    parts = torch.autograd.grad(loss, parameters)
    return time.process_time() - start, torch.cat([part.flatten() for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the embedded models")
    parser.add_argument("--prompt", default="a wooden chair")
    parser.add_argument("--rays", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if given.threads:
        set_cpu_threads(given.threads)
    plane, inputs, rays = drawn_object(given)
    for parameter in plane.density_parameters():
        parameter.requires_grad_(True)
    print(f"{given.rays} rays of {SAMPLES_PER_RAY} samples, {given.prompt!r}")
    exact, without = torch.zeros(0), 0.0
    for threshold in THRESHOLDS:
        sampling = RaySampling(SAMPLES_PER_RAY, threshold)
        runs = [gradient(plane, inputs, rays, sampling) for _ in range(given.repeats)]
        seconds, one = min(run[0] for run in runs), runs[-1][1]
        if threshold == 0:
            exact, without = one, seconds
        cosine = float(torch.cosine_similarity(one, exact, dim=0))
        print(
            f"  threshold {threshold:.0e}: {seconds:.3f} s, ratio {seconds / without:.2f}; gradient's cosine "
            f"{cosine:.4f}, length ratio {float(one.norm() / exact.norm()):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
