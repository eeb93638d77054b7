"""Batches for Latent-Plane's training: rings of true views of an object, and rays through other true views of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.networks import Denoiser
from placid_kedro.errors import ParameterError
from placid_kedro.latent_plane.training.objectives import RaySupervision, sample_supervised_rays


@dataclass(frozen=True)
class RingViews:
    """One object in N views, the first of which is the reference, as a multi-view UNet takes them.

    Attributes:
        latents: [N, C, h, w] clean, as the UNet's noisy ones are scaled.
        concatenated: [N, C', h, w] what the UNet is given of the reference behind the noisy latents.
        context: [N, L, D] what the cross-attention sees.
        silhouette: [H, W] coverage of the reference in [0, 1], at the size of the model's images.
    """

    latents: Tensor
    concatenated: Tensor
    context: Tensor
    silhouette: Tensor


@dataclass(frozen=True)
class TrueViews:
    """What an object looks like from V cameras.

    Attributes:
        cameras: V cameras.
        masks: [V, H, W] coverage in [0, 1].
        depths: [V, H, W] planar depth, 0 where there is nothing.
    """

    cameras: Cameras
    masks: Tensor
    depths: Tensor


class PlaneObjects(Protocol):
    """True views of objects. The first `ring` views of each are evenly spaced in azimuth at one elevation, from the
    front on, and have the same cameras for all objects."""

    @property
    def ring(self) -> int:
        """How many views the ring has."""

    def __len__(self) -> int: ...

    def view_count(self, index: int) -> int:
        """How many views an object has."""

    def ring_views(self, index: int, views: Sequence[int]) -> RingViews:
        """Views of the ring, the reference first."""

    def true_views(self, index: int, views: Sequence[int]) -> TrueViews:
        """Cameras, masks and depths of any views."""


@dataclass(frozen=True)
class PlaneBatch:
    """B objects in N views, the first of which is the reference.

    Attributes:
        latents: [B, N, C, h, w].
        rays: true masks and depths.
        concatenated: [B * N, C', h, w] what the UNet is given of the reference behind the noisy latents.
        context: [B * N, L, D] what the UNet's cross-attention sees.
        silhouettes: [B, H, W] coverage of the references in [0, 1].
    """

    latents: Tensor
    rays: RaySupervision
    concatenated: Tensor
    context: Tensor
    silhouettes: Tensor

    @classmethod
    def of(
        cls, objects: Sequence[RingViews], rays: Sequence[RaySupervision], device: torch.device
    ) -> PlaneBatch:
        """Objects put together on a device."""
        merged = RaySupervision(*(torch.cat([getattr(one, name) for one in rays]) for name in vars(rays[0])))
        return cls(
            torch.stack([one.latents for one in objects]).to(device),
            merged.to(device),
            torch.cat([one.concatenated for one in objects]).to(device),
            torch.cat([one.context for one in objects]).to(device),
            torch.stack([one.silhouette for one in objects]).to(device),
        )


@dataclass(frozen=True)
class BatchShape:
    """What a batch holds.

    Attributes:
        views: N of the plane.
        objects: B.
        reference_front: share of the rings that begin at the front; the others begin anywhere.
        supervision_views: true views of an object that rays are drawn from.
        rays: drawn for each object; 0 for a stage that needs none.
        reference_supervision: share of the objects for which the reference is one of these views in any case.
    """

    views: int
    objects: int
    reference_front: float
    supervision_views: int
    rays: int
    reference_supervision: float = 0.0


class PlaneBatches:
    """Batches as a function of their number and a generator.

    A ring that does not begin at the front is turned until it does, with the rays: objects are seen from all
    sides, and the plane's cameras stay where they are.

    Args:
        objects: their true views.
        choose: draws the index of an object.
        shape: of a batch.
        device: where to.

    Raises:
        ParameterError: the ring does not hold the plane's views.
    """

    def __init__(
        self,
        objects: PlaneObjects,
        choose: Callable[[torch.Generator], int],
        shape: BatchShape,
        device: torch.device,
    ) -> None:
        check_ring(objects.ring, shape.views)
        self.objects = objects
        self.choose = choose
        self.shape = shape
        self.device = device

    def __call__(self, number: int, generator: torch.Generator) -> PlaneBatch:
        rings, rays = [], []
        for _ in range(self.shape.objects):
            index = self.choose(generator)
            at_front = float(torch.rand((), generator=generator)) < self.shape.reference_front
            first = 0 if at_front else int(torch.randint(self.objects.ring, (), generator=generator))
            around = views_around(self.objects.ring, self.shape.views, first)
            rings.append(self.objects.ring_views(index, around))
            rays.append(self._rays(index, first, generator) if self.shape.rays else no_rays())
        return PlaneBatch.of(rings, rays, self.device)

    def _rays(self, index: int, first: int, generator: torch.Generator) -> RaySupervision:
        count = self.objects.view_count(index)
        chosen = torch.randperm(count, generator=generator)[: self.shape.supervision_views].tolist()
        wanted = float(torch.rand((), generator=generator)) < self.shape.reference_supervision
        if wanted and first not in chosen:
            chosen[0] = first
        truth = self.objects.true_views(index, sorted(chosen))
        turned = turned_back(truth.cameras, 360.0 * first / self.objects.ring)
        return sample_supervised_rays(turned, truth.masks, truth.depths, self.shape.rays, generator)


def no_rays() -> RaySupervision:
    """For an object without ray supervision."""
    vectors, values = torch.zeros(1, 0, 3), torch.zeros(1, 0)
    return RaySupervision(vectors, vectors, values, values)


def views_around(ring: int, count: int, first: int = 0) -> list[int]:
    """Indices of `count` views of a ring, evenly spaced, from the view `first` on."""
    return [(first + ring // count * view) % ring for view in range(count)]


def check_ring(ring: int, count: int) -> None:
    """Refuse a ring that does not hold the plane's views.

    Raises:
        ParameterError: its number of views is no multiple of the plane's.
    """
    if ring % count:
        raise ParameterError(
            f"The first ring of views has {ring} views, but Latent-Plane takes {count} evenly spaced ones; render a "
            f"multiple of {count}."
        )


def turned_back(cameras: Cameras, azimuth_deg: float) -> Cameras:
    """The cameras after the world was turned about +z so that what was at an azimuth is at the front."""
    angle = torch.deg2rad(torch.tensor(azimuth_deg, dtype=torch.float64))
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[1, 1] = angle.cos()
    turn[1, 0], turn[0, 1] = angle.sin(), -angle.sin()
    world_to_camera = (cameras.world_to_camera.double() @ turn).float()
    return Cameras(world_to_camera, cameras.K, cameras.width, cameras.height)


def make_denoiser(unet: Denoiser) -> Callable[[PlaneBatch, Tensor, Tensor], Tensor]:
    """Call a frozen novel-view UNet as the objectives want it."""

    def denoise(batch: PlaneBatch, noisy: Tensor, timesteps: Tensor) -> Tensor:
        inputs = torch.cat([noisy, batch.concatenated], dim=1)
        output: Tensor = unet(inputs, timesteps, encoder_hidden_states=batch.context, return_dict=False)[0]
        return output

    return denoise
