"""The embedded models' packed views and latents as a source of batches for Latent-Plane."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.novel_view import EmbeddedConditioner
from placid_kedro.latent_plane.batches import RingViews, TrueViews, views_around
from placid_kedro.pretrain.views import ViewArrays

PLANE_VIEWS = 8


class PackedPlaneObjects:
    """All trained objects (a `PlaneObjects`).

    Args:
        views: of the objects, the first `ring` of them evenly spaced in azimuth from the front on.
        latents: [N, V, C, h, w] of the same.
        ring: how many views the ring has, a multiple of eight.
        conditioner: of the novel-view model, frozen.
        device: of the conditioner.
    """

    def __init__(
        self,
        views: ViewArrays,
        latents: Tensor,
        ring: int,
        conditioner: EmbeddedConditioner,
        device: torch.device,
    ) -> None:
        self.views = views
        self.latents = latents
        self.ring = ring
        self.conditioner = conditioner
        self.device = device
        self.poses = plane_cameras(views, ring).world_to_camera.to(device)

    def __len__(self) -> int:
        return len(self.views)

    def view_count(self, index: int) -> int:
        """How many views an object has."""
        return self.views.view_count

    @torch.no_grad()
    def ring_views(self, index: int, views: Sequence[int]) -> RingViews:
        """Views of the ring, the reference first."""
        latents = self.latents[index, list(views)].float().to(self.device)
        condition = self.conditioner.of_latents(latents[:1], self.poses[:1], self.poses[None])
        return RingViews(latents, condition.beside, condition.context)

    def true_views(self, index: int, views: Sequence[int]) -> TrueViews:
        """Cameras, masks and depths of any views."""
        cameras = self.views.cameras(index, views)
        return TrueViews(cameras, self.views.masks(index, views), self.views.depths(index, views))


class JoinedPlaneObjects:
    """Several sets of objects as one (a `PlaneObjects`).

    Args:
        sets: their objects follow each other; all have rings of the same size.
    """

    def __init__(self, sets: Sequence[PackedPlaneObjects]) -> None:
        self.ring = sets[0].ring
        self.places = [(objects, index) for objects in sets for index in range(len(objects))]

    def __len__(self) -> int:
        return len(self.places)

    def view_count(self, index: int) -> int:
        """How many views an object has."""
        objects, own = self.places[index]
        return objects.view_count(own)

    def ring_views(self, index: int, views: Sequence[int]) -> RingViews:
        """Views of the ring, the reference first."""
        objects, own = self.places[index]
        return objects.ring_views(own, views)

    def true_views(self, index: int, views: Sequence[int]) -> TrueViews:
        """Cameras, masks and depths of any views."""
        objects, own = self.places[index]
        return objects.true_views(own, views)


def plane_cameras(views: ViewArrays, ring: int) -> Cameras:
    """The eight views of the ring that begin at the front."""
    return views.cameras(0, ring_views(ring))


def ring_views(ring: int) -> list[int]:
    """Indices of eight views of the ring, evenly spaced, the front first."""
    return views_around(ring, PLANE_VIEWS)
