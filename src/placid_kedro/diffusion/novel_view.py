"""Views of an object from one image: Zero-1-to-3 or the embedded model, enhanced by Latent-Plane (Sec. 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras, relative_pose
from placid_kedro.diffusion.autoencoding import decode
from placid_kedro.diffusion.guidance import guide
from placid_kedro.diffusion.loading import component_names, load_component
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane import LatentPlane, LatentPlaneAttachment, PlaneInputs, SamplingPolicy
from placid_kedro.progress import SILENT, Progress


class ReferenceConditioner(Protocol):
    """What the cross-attention of a novel-view model sees of the reference."""

    def __call__(self, reference: Tensor, latents: Tensor, relative_poses: Tensor) -> Tensor:
        """Context [B, L, D] from the image [B, 3, H, W] in [0, 1], its latents and poses [B, 4]."""


@dataclass(frozen=True, eq=False)
class TokenConditioner:
    """The embedded model's: patches of the reference's latents (`ReferenceTokens`)."""

    tokens: Any

    def __call__(self, reference: Tensor, latents: Tensor, relative_poses: Tensor) -> Tensor:
        context: Tensor = self.tokens(latents, relative_poses)
        return context


@dataclass(frozen=True, eq=False)
class ClipConditioner:
    """Zero-1-to-3's: one token, projected from CLIP's embedding of the reference and the pose.

    Attributes:
        image_encoder: a `CLIPVisionModelWithProjection`.
        projection: `CCProjection`.
        mean, std: [3] with which CLIP's pixels are normalised.
    """

    image_encoder: Any
    projection: Any
    mean: Tensor
    std: Tensor

    def __call__(self, reference: Tensor, latents: Tensor, relative_poses: Tensor) -> Tensor:
        size = self.image_encoder.config.image_size
        pixels = F.interpolate(reference, (size, size), mode="bicubic", align_corners=False, antialias=True)
        normalised = (pixels - self.mean.to(pixels)[:, None, None]) / self.std.to(pixels)[:, None, None]
        embedding = self.image_encoder(normalised).image_embeds
        token: Tensor = self.projection(torch.cat([embedding, relative_poses], dim=-1))
        return token[:, None]


@dataclass(frozen=True, eq=False)
class NovelView:
    """The parts of a model that draws an object from another side.

    Attributes:
        unet: its input is the noisy latents with the reference's latents behind them.
        autoencoder: as in `TextToImage`.
        conditioner: what the cross-attention sees.
        scheduler: DDIM of the model's noise levels.
        schedule: the same noise levels.
        image_size: side of its images in pixels.
        device: of the networks.
    """

    unet: Any
    autoencoder: Any
    conditioner: ReferenceConditioner
    scheduler: Any
    schedule: NoiseSchedule
    image_size: int
    device: torch.device

    def reference_latents(self, reference: Tensor) -> Tensor:
        """Latents [B, C, h, w] that stand beside the noisy ones, of images [B, 3, H, W] in [0, 1].

        They are the autoencoder's mode without its scaling factor, as Zero-1-to-3 was trained.
        """
        size = self.image_size
        if reference.shape[1:] != (3, size, size):
            raise ShapeError(f"The reference is {list(reference.shape[1:])}, expected [3, {size}, {size}].")
        latents: Tensor = self.autoencoder.encode(reference * 2 - 1).latent_dist.mode()
        return latents


@dataclass(frozen=True, eq=False)
class SampledViews:
    """What `sample_views` made.

    Attributes:
        images: [N, 3, H, W] in [0, 1].
        plane_inputs: what the plane last saw, from which its density field can be read; None without a plane.
    """

    images: Tensor
    plane_inputs: PlaneInputs | None


def load_novel_view(folder: Path, device: torch.device) -> NovelView:
    """Load a model folder.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    scheduler = DDIMScheduler.from_config(load_component(folder, "scheduler").config)
    unet = load_component(folder, "unet").to(device)
    conditioner: ReferenceConditioner
    if "reference_tokens" in component_names(folder):
        conditioner = TokenConditioner(load_component(folder, "reference_tokens").to(device))
    else:
        extractor = load_component(folder, "feature_extractor")
        conditioner = ClipConditioner(
            image_encoder=load_component(folder, "image_encoder").to(device),
            projection=load_component(folder, "cc_projection").to(device),
            mean=torch.tensor(extractor.image_mean),
            std=torch.tensor(extractor.image_std),
        )
    autoencoder = load_component(folder, "vae").to(device)
    return NovelView(
        unet=unet,
        autoencoder=autoencoder,
        conditioner=conditioner,
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler),
        image_size=unet.config.sample_size * 8,
        device=device,
    )


@torch.no_grad()
def sample_views(
    model: NovelView,
    reference: Tensor,
    reference_camera: Cameras,
    cameras: Cameras,
    *,
    steps: int,
    guidance_scale: float,
    generator: torch.Generator,
    plane: LatentPlane | None = None,
    policy: SamplingPolicy | None = None,
    progress: Progress = SILENT,
) -> SampledViews:
    """Draw N views of the object with DDIM, all together.

    Args:
        model: the novel-view model.
        reference: [3, H, W] in [0, 1], the object over white.
        reference_camera: one camera, where the reference is assumed to be seen from.
        cameras: N wanted views.
        steps: DDIM steps.
        guidance_scale: of classifier-free guidance.
        generator: draws the start noise, on the CPU.
        plane: enhances the UNet's features; its views are `cameras`.
        policy: when the plane acts; needed with a plane.
        progress: shows the steps.

    Raises:
        ShapeError: when the reference is not of the model's size or the plane of another number of views.
    """
    conditioning = _condition(model, reference, reference_camera, cameras)
    shape = (len(cameras), *conditioning.reference_latents.shape[1:])
    latents = torch.randn(shape, generator=generator).to(model.device)
    scheduler: Any = DDIMScheduler.from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    if plane is None or policy is None:
        for t in progress.track(scheduler.timesteps, description="views"):
            output = conditioning.predict(latents, t, guidance_scale)
            latents = scheduler.step(output, t, latents, return_dict=False)[0]
        return SampledViews(decode(model.autoencoder, latents), None)
    with LatentPlaneAttachment(model.unet, plane, guided=True, branches=policy.branches) as attachment:
        if policy.renoise_first_step:
            with attachment.disabled():
                latents = conditioning.renoised(latents, guidance_scale, generator)
        for index, t in enumerate(progress.track(scheduler.timesteps, description="views with Latent-Plane")):
            attachment.enabled = policy.is_active(index, steps)
            output = conditioning.predict(latents, t, guidance_scale)
            latents = scheduler.step(output, t, latents, return_dict=False)[0]
    return SampledViews(decode(model.autoencoder, latents), attachment.inputs)


@dataclass(frozen=True, eq=False)
class _Conditioning:
    """Both guidance branches of the N views, unconditional first."""

    model: NovelView
    reference_latents: Tensor
    context: Tensor

    def predict(self, latents: Tensor, t: Tensor, guidance_scale: float) -> Tensor:
        """The guided output of the UNet [N, C, h, w]."""
        nothing = torch.zeros_like(self.reference_latents)
        inputs = torch.cat(
            [torch.cat([latents, nothing], dim=1), torch.cat([latents, self.reference_latents], dim=1)]
        )
        output = self.model.unet(inputs, t, encoder_hidden_states=self.context, return_dict=False)[0]
        return guide(output, guidance_scale)

    def renoised(self, latents: Tensor, guidance_scale: float, generator: torch.Generator) -> Tensor:
        """The x0 seen in pure noise, noised again to the last timestep (the authors' first step)."""
        schedule = self.model.schedule
        t = torch.full((len(latents),), schedule.num_timesteps - 1, device=latents.device)
        x0 = schedule.to_x0(self.predict(latents, t[0], guidance_scale), latents, t)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        return schedule.add_noise(x0, noise, t)


def _condition(
    model: NovelView, reference: Tensor, reference_camera: Cameras, cameras: Cameras
) -> _Conditioning:
    images = reference[None].to(model.device)
    latents = model.reference_latents(images)
    poses = relative_pose(reference_camera.world_to_camera, cameras.world_to_camera).to(model.device)
    count = len(cameras)
    context = model.conditioner(images.expand(count, -1, -1, -1), latents.expand(count, -1, -1, -1), poses)
    return _Conditioning(
        model, latents.expand(count, -1, -1, -1), torch.cat([torch.zeros_like(context), context])
    )
