"""Views of an object, enhanced by Latent-Plane (Sec. 4.1, 4.2)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.autoencoding import decode
from placid_kedro.diffusion.multiview import MultiviewModel, Subject
from placid_kedro.diffusion.sampling import sample_ddim
from placid_kedro.errors import ParameterError, ShapeError
from placid_kedro.latent_plane.inputs import PlaneInputs
from placid_kedro.latent_plane.made_for import check_views
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.plugin import LatentPlaneAttachment
from placid_kedro.latent_plane.presets import Branches, CallPlan, SamplingPolicy, preset
from placid_kedro.progress import SILENT, Progress

_PAPER = preset("paper").sampling


@dataclass(frozen=True, eq=False)
class SampledViews:
    """What `sample_views` made.

    Attributes:
        images: [N, 3, H, W] in [0, 1].
        latents: [N, C, h, w] that they were decoded from.
        plane_inputs: what the plane saw in the policy's `field_step`, from which its density field can be read; None
            without a plane.
    """

    images: Tensor
    latents: Tensor
    plane_inputs: PlaneInputs | None


@torch.no_grad()
def sample_views(
    model: MultiviewModel,
    subject: Subject,
    cameras: Cameras,
    *,
    steps: int,
    guidance_scale: float,
    generator: torch.Generator,
    plane: LatentPlane | None = None,
    policy: SamplingPolicy = _PAPER,
    silhouette: Tensor | None = None,
    progress: Progress = SILENT,
) -> SampledViews:
    """Draw N views of the object with DDIM, all together.

    Args:
        model: Zero-1-to-3, MVDream or another multi-view model.
        subject: the object.
        cameras: N wanted views.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        generator: draws the start noise, on the CPU.
        plane: enhances the UNet's features; made for the very `cameras`.
        policy: when the plane acts.
        silhouette: [H, W] how much of each of the reference's pixels the object covers, in [0, 1]; only a plane that
            reads it needs it.
        progress: shows the steps.

    Raises:
        ShapeError: when the reference or its silhouette is not of the model's size.
        ParameterError: when the plane was made for other cameras, or reads a silhouette and there is none, for more
            steps than the model has timesteps, or as `MultiviewModel.guided`.
    """
    if plane is not None:
        check_views(plane.cameras, cameras)
        _check_silhouette(plane, silhouette, model.image_size)
    conditioning = model.guided(subject, cameras)
    noise = conditioning.noise(generator)
    with _attached(model, plane, policy.plan(steps), policy.branches, silhouette) as attachment:
        if plane is not None and policy.renoise_first_step:
            noise = conditioning.renoised(noise, guidance_scale, generator)
        latents = sample_ddim(
            model.scheduler,
            noise,
            lambda latents, t, index: conditioning.predict(latents, t, guidance_scale),
            steps=steps,
            progress=progress,
            description="views" if plane is None else "views with Latent-Plane",
        )
    inputs = None if attachment is None else attachment.inputs
    return SampledViews(decode(model.autoencoder, latents), latents, inputs)


def _attached(
    model: MultiviewModel,
    plane: LatentPlane | None,
    plan: CallPlan,
    branches: Branches,
    silhouette: Tensor | None,
) -> AbstractContextManager[LatentPlaneAttachment | None]:
    """The plane in the model's UNet, where there is one."""
    if plane is None:
        return nullcontext()
    covered = None if silhouette is None else silhouette[None].to(model.device)
    return LatentPlaneAttachment(model.unet, plane, plan, guided=True, branches=branches, silhouette=covered)


def _check_silhouette(plane: LatentPlane, silhouette: Tensor | None, size: int) -> None:
    if not plane.silhouette_factor:
        return
    if silhouette is None:
        raise ParameterError(
            "This Latent-Plane reads the reference's silhouette, and there is none; give it."
        )
    if silhouette.shape != (size, size):
        raise ShapeError(
            f"The reference's silhouette must be of its size [{size}, {size}], got {list(silhouette.shape)}."
        )
