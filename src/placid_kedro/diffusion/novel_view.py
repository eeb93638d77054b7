"""Views of an object from one image: Zero-1-to-3 or the embedded model, enhanced by Latent-Plane (Sec. 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from placid_kedro.cameras import Cameras, relative_pose
from placid_kedro.diffusion.autoencoding import decode, pixels_per_latent
from placid_kedro.diffusion.guidance import guide
from placid_kedro.diffusion.loading import component_names, load_component
from placid_kedro.diffusion.sampling import load_ddim, sample_ddim
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.errors import ModelError, ParameterError, ShapeError
from placid_kedro.latent_plane import (
    LatentPlane,
    LatentPlaneAttachment,
    PlaneInputs,
    SamplingPolicy,
    preset,
)
from placid_kedro.progress import SILENT, Progress

_PAPER = preset("paper").sampling


@dataclass(frozen=True, eq=False)
class ReferenceCondition:
    """What a novel-view UNet is told of the reference, for N views. In the unconditional branch all of it is zero.

    Attributes:
        context: [N, L, D] for the cross-attention.
        beside: [N, C', h, w] stands behind the noisy latents.
    """

    context: Tensor
    beside: Tensor


class ReferenceConditioner(Protocol):
    """What a novel-view model makes of the reference and the cameras."""

    def __call__(
        self, reference: Tensor, latents: Tensor, reference_camera: Tensor, cameras: Tensor
    ) -> ReferenceCondition:
        """The condition of N views.

        Args:
            reference: [1, 3, H, W] in [0, 1].
            latents: [1, C, h, w] of it, as `NovelView.reference_latents` gives them.
            reference_camera: [1, 4, 4] its `world_to_camera`.
            cameras: [N, 4, 4] of the views.
        """


@dataclass(frozen=True, eq=False)
class EmbeddedConditioner:
    """The embedded model's: patches of the reference's latents, and those latents lifted and seen from the views.

    Attributes:
        tokens: a `ReferenceTokens`.
        lifted: a `LiftedReference`.
    """

    tokens: Any
    lifted: Any

    def __call__(
        self, reference: Tensor, latents: Tensor, reference_camera: Tensor, cameras: Tensor
    ) -> ReferenceCondition:
        return self.of_latents(latents, reference_camera, cameras[None])

    def of_latents(self, latents: Tensor, reference_cameras: Tensor, cameras: Tensor) -> ReferenceCondition:
        """The condition of K views of each of B references, the views of one reference together.

        Args:
            latents: [B, C, h, w].
            reference_cameras: [B, 4, 4].
            cameras: [B, K, 4, 4].
        """
        count = cameras.shape[1]
        repeated = latents.repeat_interleave(count, dim=0)
        poses = relative_pose(reference_cameras.repeat_interleave(count, dim=0), cameras.flatten(0, 1))
        maps = self.lifted(latents, reference_cameras, cameras).maps
        return ReferenceCondition(self.tokens(repeated, poses), torch.cat([repeated, maps], dim=1))


@dataclass(frozen=True, eq=False)
class ClipConditioner:
    """Zero-1-to-3's: one token, projected from CLIP's embedding of the reference and the pose; latents as they are.

    Attributes:
        image_encoder: a `CLIPVisionModelWithProjection`.
        projection: `CCProjection` or `CLIPCameraProjection`.
    """

    image_encoder: Any
    projection: Any

    def __call__(
        self, reference: Tensor, latents: Tensor, reference_camera: Tensor, cameras: Tensor
    ) -> ReferenceCondition:
        size = self.image_encoder.config.image_size
        # Corner to corner and without a low-pass filter, as the images of its training were resized.
        pixels = F.interpolate(reference, (size, size), mode="bicubic", align_corners=True)
        mean, std = pixels.new_tensor([OPENAI_CLIP_MEAN, OPENAI_CLIP_STD])[..., None, None]
        normalised = (pixels - mean) / std
        embedding = self.image_encoder(normalised).image_embeds.expand(len(cameras), -1)
        poses = relative_pose(reference_camera, cameras)
        token: Tensor = self.projection(torch.cat([embedding, poses], dim=-1))
        return ReferenceCondition(token[:, None], latents.expand(len(cameras), -1, -1, -1))


@dataclass(frozen=True, eq=False)
class NovelView:
    """The parts of a model that draws an object from another side.

    Attributes:
        unet: its input is the noisy latents with `ReferenceCondition.beside` behind them.
        autoencoder: as in `TextToImage`.
        conditioner: what the UNet is told of the reference.
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
        """Latents [B, C, h, w] that the conditioner is given, of images [B, 3, H, W] in [0, 1].

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
        plane_inputs: what the plane saw in the policy's `field_step`, from which its density field can be read; None
            without a plane.
    """

    images: Tensor
    plane_inputs: PlaneInputs | None


def load_novel_view(folder: Path, device: torch.device) -> NovelView:
    """Load a model folder: the embedded model's, or Zero-1-to-3 in either conversion to the diffusers layout.

    Raises:
        ModelError: when a part is missing or damaged.
    """
    scheduler = load_ddim(folder)
    unet = load_component(folder, "unet").to(device)
    conditioner = _load_conditioner(folder, device)
    autoencoder = load_component(folder, "vae").to(device)
    return NovelView(
        unet=unet,
        autoencoder=autoencoder,
        conditioner=conditioner,
        scheduler=scheduler,
        schedule=NoiseSchedule.from_scheduler(scheduler),
        image_size=unet.config.sample_size * pixels_per_latent(autoencoder),
        device=device,
    )


def _load_conditioner(folder: Path, device: torch.device) -> ReferenceConditioner:
    names = component_names(folder)
    if "reference_tokens" in names:
        return EmbeddedConditioner(
            tokens=load_component(folder, "reference_tokens").to(device),
            lifted=load_component(folder, "lifted_reference").to(device),
        )
    for projection in ("cc_projection", "clip_camera_projection"):
        if projection in names:
            return ClipConditioner(
                image_encoder=load_component(folder, "image_encoder").to(device),
                projection=load_component(folder, projection).to(device),
            )
    raise ModelError(
        f"{folder} is no novel-view model: it has neither reference_tokens nor cc_projection nor "
        "clip_camera_projection."
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
    policy: SamplingPolicy = _PAPER,
    silhouette: Tensor | None = None,
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
        plane: enhances the UNet's features; made for the very `cameras`.
        policy: when the plane acts.
        silhouette: [H, W] how much of each of the reference's pixels the object covers, in [0, 1]; only a plane that
            reads it needs it.
        progress: shows the steps.

    Raises:
        ShapeError: when the reference or its silhouette is not of the model's size.
        ParameterError: when the plane was made for other cameras, or reads a silhouette and there is none, or for
            more steps than the model has timesteps.
    """
    if plane is not None:
        _check_views(plane, cameras)
        _check_silhouette(plane, silhouette, reference)
    images = reference[None].to(model.device)
    reference_latents = model.reference_latents(images)
    poses = (one.world_to_camera.to(model.device) for one in (reference_camera, cameras))
    conditioning = _Guided.of(model, model.conditioner(images, reference_latents, *poses))
    shape = (len(cameras), *reference_latents.shape[1:])
    noise = torch.randn(shape, generator=generator).to(model.device)
    if plane is None:
        latents = sample_ddim(
            model.scheduler,
            noise,
            lambda latents, t, index: conditioning.predict(latents, t, guidance_scale),
            steps=steps,
            progress=progress,
            description="views",
        )
        return SampledViews(decode(model.autoencoder, latents), None)
    covered = None if silhouette is None else silhouette[None].to(model.device)
    with LatentPlaneAttachment(
        model.unet, plane, guided=True, branches=policy.branches, silhouette=covered
    ) as attachment:
        if policy.renoise_first_step:
            with attachment.disabled():
                noise = conditioning.renoised(noise, guidance_scale, generator)

        field_inputs: PlaneInputs | None = None

        def predict(latents: Tensor, t: Tensor, index: int) -> Tensor:
            nonlocal field_inputs
            attachment.enabled = policy.is_active(index, steps)
            attachment.renewing = policy.renews(index)
            output = conditioning.predict(latents, t, guidance_scale)
            if policy.shows_field(index, steps):
                field_inputs = attachment.inputs
            return output

        latents = sample_ddim(
            model.scheduler,
            noise,
            predict,
            steps=steps,
            progress=progress,
            description="views with Latent-Plane",
        )
    return SampledViews(decode(model.autoencoder, latents), field_inputs)


def _check_views(plane: LatentPlane, cameras: Cameras) -> None:
    own, wanted = plane.cameras.resized(cameras.width, cameras.height), cameras.to("cpu")
    if (
        len(own) != len(wanted)
        or not torch.allclose(own.world_to_camera, wanted.world_to_camera, atol=1e-3)
        or not torch.allclose(own.K, wanted.K, rtol=1e-3)
    ):
        raise ParameterError(
            f"This Latent-Plane was made for {len(own)} other views than the {len(wanted)} that are wanted; give "
            "its elevation, distance, field of view and number of views."
        )


def _check_silhouette(plane: LatentPlane, silhouette: Tensor | None, reference: Tensor) -> None:
    if not plane.silhouette_factor:
        return
    if silhouette is None:
        raise ParameterError(
            "This Latent-Plane reads the reference's silhouette, and there is none; give it."
        )
    if silhouette.shape != reference.shape[1:]:
        raise ShapeError(
            f"The reference's silhouette must be of its size {list(reference.shape[1:])}, "
            f"got {list(silhouette.shape)}."
        )


@dataclass(frozen=True, eq=False)
class _Guided:
    """Both guidance branches of N views, the unconditional one, whose condition is zero, first.

    Attributes:
        model: the novel-view model.
        context, beside: [2 N, ...] as in `ReferenceCondition`.
    """

    model: NovelView
    context: Tensor
    beside: Tensor

    @classmethod
    def of(cls, model: NovelView, condition: ReferenceCondition) -> _Guided:
        both = (torch.cat([torch.zeros_like(x), x]) for x in (condition.context, condition.beside))
        return cls(model, *both)

    def predict(self, latents: Tensor, t: Tensor, guidance_scale: float) -> Tensor:
        """The guided output of the UNet [N, C, h, w]."""
        inputs = torch.cat([latents.repeat(2, 1, 1, 1), self.beside], dim=1)
        output = self.model.unet(inputs, t, encoder_hidden_states=self.context, return_dict=False)[0]
        return guide(output, guidance_scale)

    def renoised(self, latents: Tensor, guidance_scale: float, generator: torch.Generator) -> Tensor:
        """The x0 seen in pure noise, noised again to the last timestep (the authors' first step)."""
        schedule = self.model.schedule
        t = torch.full((len(latents),), schedule.num_timesteps - 1, device=latents.device)
        x0 = schedule.to_x0(self.predict(latents, t[0], guidance_scale), latents, t)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        return schedule.add_noise(x0, noise, t)
