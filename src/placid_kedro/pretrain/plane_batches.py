"""Batches for Latent-Plane: rings of true views of an object, and rays through other true views of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras, relative_pose
from placid_kedro.errors import ParameterError
from placid_kedro.latent_plane.objectives import RaySupervision, draw_rays
from placid_kedro.pretrain.batches import draw_object
from placid_kedro.pretrain.config import PlaneParameters
from placid_kedro.pretrain.views import ViewArrays

PLANE_VIEWS = 8


@dataclass(frozen=True)
class PlaneBatch:
    """B objects in N views, the first of which is the reference.

    Attributes:
        latents: [B, N, C, h, w].
        rays: true masks and depths.
        reference: [B * N, C, h, w] the first view's latents, once a view.
        context: [B * N, L, D] what the UNet's cross-attention sees.
    """

    latents: Tensor
    rays: RaySupervision
    reference: Tensor
    context: Tensor


class PlaneBatches:
    """See the module.

    Args:
        views: of all trained objects, the first `ring` of them evenly spaced in azimuth from the front on.
        latents: [N, V, C, h, w] of the same.
        favourites: indices of the vocabulary's objects.
        ring: how many views the ring has, a multiple of eight.
        conditioner: reference latents [B, C, h, w] and poses [B, 4] to context, frozen.
        parameters: of Latent-Plane.
        batch_size: objects a batch.
        device: where to.
    """

    def __init__(
        self,
        views: ViewArrays,
        latents: Tensor,
        favourites: Tensor,
        ring: int,
        conditioner: Callable[[Tensor, Tensor], Tensor],
        parameters: PlaneParameters,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self.views = views
        self.latents = latents
        self.favourites = favourites
        self.ring = ring
        self.conditioner = conditioner
        self.parameters = parameters
        self.batch_size = batch_size
        self.device = device
        self.step = ring // PLANE_VIEWS
        own = plane_cameras(views, ring).world_to_camera
        self.poses = relative_pose(own[:1], own).to(device)

    def __call__(self, number: int, generator: torch.Generator) -> PlaneBatch:
        latents, rays, references, contexts = [], [], [], []
        for _ in range(self.batch_size):
            index = int(draw_object(len(self.views), self.favourites, self.parameters.vocabulary, generator))
            at_front = float(torch.rand((), generator=generator)) < self.parameters.reference_front
            first = 0 if at_front else int(torch.randint(self.ring, (), generator=generator))
            around = [(first + self.step * view) % self.ring for view in range(PLANE_VIEWS)]
            own = self.latents[index, around].to(self.device)
            reference = own[:1].expand_as(own)
            latents.append(own)
            references.append(reference)
            with torch.no_grad():
                contexts.append(self.conditioner(reference, self.poses))
            rays.append(self._rays(index, first, generator))
        merged = RaySupervision(*(torch.cat([getattr(one, name) for one in rays]) for name in vars(rays[0])))
        return PlaneBatch(
            torch.stack(latents), merged.to(self.device), torch.cat(references), torch.cat(contexts)
        )

    def _rays(self, index: int, first: int, generator: torch.Generator) -> RaySupervision:
        count = self.views.view_count
        chosen = torch.randperm(count, generator=generator)[: self.parameters.supervision_views].sort().values
        cameras = self.views.cameras(index, chosen.tolist())
        turned = turned_back(cameras, 360.0 * first / self.ring)
        masks, depths = (read(index, chosen.tolist()) for read in (self.views.masks, self.views.depths))
        return draw_rays(turned, masks, depths, self.parameters.rays, generator)


def plane_cameras(views: ViewArrays, ring: int) -> Cameras:
    """The eight views of the ring that begin at the front."""
    return views.cameras(0, ring_views(ring))


def turned_back(cameras: Cameras, azimuth_deg: float) -> Cameras:
    """The cameras after the world was turned about +z so that what was at an azimuth is at the front."""
    angle = torch.deg2rad(torch.tensor(azimuth_deg, dtype=torch.float64))
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[1, 1] = angle.cos()
    turn[1, 0], turn[0, 1] = angle.sin(), -angle.sin()
    world_to_camera = (cameras.world_to_camera.double() @ turn).float()
    return Cameras(world_to_camera, cameras.K, cameras.width, cameras.height)


def make_denoiser(unet: Any) -> Callable[[PlaneBatch, Tensor, Tensor], Tensor]:
    """Call a frozen novel-view UNet as the objectives want it."""

    def denoise(batch: PlaneBatch, noisy: Tensor, timesteps: Tensor) -> Tensor:
        inputs = torch.cat([noisy, batch.reference], dim=1)
        output: Tensor = unet(inputs, timesteps, encoder_hidden_states=batch.context, return_dict=False)[0]
        return output

    return denoise


def ring_views(ring: int) -> list[int]:
    """Indices of eight views of the ring, evenly spaced, the front first."""
    return list(range(0, ring, ring // PLANE_VIEWS))


def check_ring(ring: int) -> None:
    """Refuse a ring that does not hold Latent-Plane's views.

    Raises:
        ParameterError: its number of views is no multiple of eight.
    """
    if ring % PLANE_VIEWS:
        raise ParameterError(
            f"The first ring of pretrain.rendering.protocol has {ring} views; give a multiple of {PLANE_VIEWS}."
        )
