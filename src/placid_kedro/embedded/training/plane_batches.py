"""The embedded models' packed views and latents as a source of batches for Latent-Plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.embedded.networks.conditioner import EmbeddedConditioner
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.errors import DataError
from placid_kedro.latent_plane.training.batches import RingViews, TrueViews, views_around
from placid_kedro.surface.background import remove_background

PLANE_VIEWS = 8

# (views, object, view) -> [H, W] coverage in [0, 1].
Silhouette = Callable[[ViewArrays, int, int], Tensor]


def rendered_silhouette(views: ViewArrays, index: int, view: int) -> Tensor:
    """[H, W] the alpha channel of a view."""
    return views.masks(index, [view])[0]


def cut_silhouette(views: ViewArrays, index: int, view: int) -> Tensor:
    """[H, W] as `generate` finds it in a drawn reference: cut by its colours, with what that gets wrong."""
    try:
        return remove_background(views.images(index, view))[3]
    except DataError:  # white on white: `generate` stops at such a reference
        return rendered_silhouette(views, index, view)


class PackedPlaneObjects:
    """All trained objects (a `PlaneObjects`).

    Args:
        views: of the objects, the first `ring` of them evenly spaced in azimuth from the front on.
        latents: [N, V, C, h, w] of the same.
        ring: how many views the ring has, a multiple of eight.
        conditioner: of the novel-view model, frozen.
        device: of the conditioner.
        silhouette: of the references.
    """

    def __init__(
        self,
        views: ViewArrays,
        latents: Tensor,
        ring: int,
        conditioner: EmbeddedConditioner,
        device: torch.device,
        silhouette: Silhouette = rendered_silhouette,
    ) -> None:
        self.views = views
        self.latents = latents
        self.ring = ring
        self.conditioner = conditioner
        self.device = device
        self.silhouette = silhouette
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
        silhouette = self.silhouette(self.views, index, views[0])
        return RingViews(latents, condition.concatenated, condition.context, silhouette)

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


@dataclass(frozen=True, eq=False)
class PlaneSource:
    """All that Latent-Plane learns from.

    Attributes:
        sets: views and latents [M, V, C, h, w] of the objects and of their deformed copies: each set holds all
            objects in their order, once or several times.
        made: the same of objects made by chance.
        made_share: of the draws that are one of these.
        vocabulary_rows: rows of the vocabulary's objects in the first set.
        ring: how many views the ring has.
    """

    sets: Sequence[tuple[ViewArrays, Tensor]]
    made: tuple[ViewArrays, Tensor]
    made_share: float
    vocabulary_rows: Tensor
    ring: int

    @property
    def cameras(self) -> Cameras:
        """The plane's."""
        return plane_cameras(self.sets[0][0], self.ring)

    def objects(self, conditioner: EmbeddedConditioner, device: torch.device) -> JoinedPlaneObjects:
        """All objects, those made by chance last. References of deformed copies have cut silhouettes."""
        packed = partial(PackedPlaneObjects, ring=self.ring, conditioner=conditioner, device=device)
        library, *deformed = self.sets
        return JoinedPlaneObjects(
            [
                packed(*library),
                *(packed(*one, silhouette=cut_silhouette) for one in deformed),
                packed(*self.made),
            ]
        )

    def choose(self, vocabulary_share: float, generator: torch.Generator) -> int:
        """Where one of `objects` stands, the vocabulary more often than the others."""
        count = len(self.sets[0][0])
        copies = sum(len(views) for views, _ in self.sets) // count
        if float(torch.rand((), generator=generator)) < self.made_share:
            return copies * count + int(torch.randint(len(self.made[0]), (), generator=generator))
        copy = int(torch.randint(copies, (), generator=generator))
        return copy * count + int(_pick_object(count, self.vocabulary_rows, vocabulary_share, generator))


def _pick_object(
    count: int, vocabulary_rows: Tensor, vocabulary_share: float, generator: torch.Generator
) -> Tensor:
    """One of the vocabulary so often, any of all `count` objects otherwise; a scalar index."""
    if float(torch.rand((), generator=generator)) < vocabulary_share:
        return vocabulary_rows[torch.randint(len(vocabulary_rows), (), generator=generator)]
    return torch.randint(count, (), generator=generator)


def plane_cameras(views: ViewArrays, ring: int) -> Cameras:
    """The eight views of the ring that begin at the front."""
    return views.cameras(0, ring_views(ring))


def ring_views(ring: int) -> list[int]:
    """Indices of eight views of the ring, evenly spaced, the front first."""
    return views_around(ring, PLANE_VIEWS)
