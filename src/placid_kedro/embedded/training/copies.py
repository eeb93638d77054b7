"""Copies of the training views in which an object is another one: mirrored, with its colours exchanged, or deformed.

Hundreds of objects are few for a network that is to see the far side of any; all changes keep what views of one object
have in common. Copy 0 is the objects themselves, odd copies are mirrored, and from copy 2 on colours are exchanged.
Objects with other proportions and objects made by chance come as they are and as copy 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.training.colors import painted
from placid_kedro.embedded.training.objectives import NovelViewBatch
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.images import over_white
from placid_kedro.progress import SILENT, Progress

_EXCHANGES = tuple(itertools.permutations(range(3)))[1:]
_FIRST_EXCHANGED = 2
_TWICE = (0, 3)


@dataclass(frozen=True, eq=False)
class ObjectCopy:
    """All N objects in one copy.

    Attributes:
        latents: [N, V, C, h, w] of their views.
        coverage: [N, V, h, w] how much of a latent's patch the object covers, in [0, 1], before it is mirrored.
        world_to_camera: [N, V, 4, 4] from where the copy is seen.
        mirrored: whether the copy is seen in a mirror.
    """

    latents: Tensor
    coverage: Tensor
    world_to_camera: Tensor
    mirrored: bool

    def coverage_of(self, objects: Tensor, views: Tensor) -> Tensor:
        """[..., h, w] of views, as the copy shows them; indices of objects and views broadcast."""
        coverage = self.coverage[objects, views]
        return coverage.flip(-1) if self.mirrored else coverage

    def to(self, device: torch.device) -> ObjectCopy:
        """The copy on a device."""
        tensors = self.latents.to(device), self.coverage.to(device), self.world_to_camera.to(device)
        return ObjectCopy(*tensors, self.mirrored)

    def batch(self, objects: Tensor, reference: Tensor, wanted: Tensor) -> NovelViewBatch:
        """Views [R, K] that are wanted of R objects, and one reference of each."""
        device = self.latents.device
        objects, reference, wanted = (one.to(device) for one in (objects, reference, wanted))
        each = objects[:, None]
        return NovelViewBatch(
            self.latents[each, wanted].float(),
            self.coverage_of(each, wanted),
            self.latents[objects, reference].float(),
            self.world_to_camera[objects, reference],
            self.world_to_camera[each, wanted],
        )


def object_copies(views: ViewArrays, latents: Sequence[Tensor]) -> list[ObjectCopy]:
    """The copies 0, 1, ... of objects, from their latents [N, V, C, h, w], one tensor a copy."""
    return _copies(views, list(enumerate(latents)), slice(None))


def deformed_copies(views: ViewArrays, latents: Tensor, objects: int) -> list[ObjectCopy]:
    """The copies of R times `objects` deformed objects, from the latents that `encode_twice` gave."""
    numbered = list(zip(_TWICE, latents, strict=True))
    blocks = [slice(start, start + objects) for start in range(0, len(views), objects)]
    return [copy for block in blocks for copy in _copies(views, numbered, block)]


def made_copies(views: ViewArrays, latents: Tensor) -> list[ObjectCopy]:
    """The copies of made objects, from the latents that `encode_twice` gave."""
    return deformed_copies(views, latents, len(views))


def _copies(views: ViewArrays, numbered: list[tuple[int, Tensor]], rows: slice) -> list[ObjectCopy]:
    coverage = views.coverage(numbered[0][1].shape[-1], rows)
    cameras = torch.tensor(views.world_to_camera[rows])
    mirrored = mirrored_cameras(cameras)
    return [
        ObjectCopy(latents[rows], coverage, mirrored if is_mirrored(copy) else cameras, is_mirrored(copy))
        for copy, latents in numbered
    ]


def painted_copy(views: ViewArrays, latents: Tensor, rows: Tensor) -> ObjectCopy:
    """Objects in other colours, from the latents [P, V, C, h, w] that `encode_painted` gave.

    Args:
        views: of all objects.
        latents: of the painted ones.
        rows: [P] which of the objects each of them is.
    """
    coverage = views.coverage(latents.shape[-1])[rows]
    return ObjectCopy(
        latents, coverage, torch.from_numpy(views.world_to_camera[rows.numpy()]), mirrored=False
    )


def is_mirrored(copy: int) -> bool:
    """Whether a copy is seen in a mirror."""
    return copy % 2 == 1


def copied(images: Tensor, copy: int, index: int) -> Tensor:
    """Images [..., 3, H, W] of the object `index` as a copy shows them."""
    if copy >= _FIRST_EXCHANGED:
        images = images[..., list(_EXCHANGES[(copy + index) % len(_EXCHANGES)]), :, :]
    return images.flip(-1) if is_mirrored(copy) else images


def mirrored_cameras(world_to_camera: Tensor) -> Tensor:
    """Cameras [..., 4, 4] from which the object, mirrored at the plane y = 0, gives the mirrored images."""
    image, world = world_to_camera.new_tensor([-1, 1, 1, 1]), world_to_camera.new_tensor([1, -1, 1, 1])
    return image[:, None] * world_to_camera * world


@torch.no_grad()
def encode_copy(
    autoencoder: PatchAutoencoder, views: ViewArrays, copy: int, progress: Progress = SILENT
) -> Tensor:
    """[N, V, C, h, w] latents of all views of a copy: float32 of the objects themselves, float16 of others."""
    dtype = torch.float16 if copy else torch.float32
    latents = [
        autoencoder.encode(copied(views.images(index, slice(None)), copy, index) * 2 - 1)
        .latent_dist.mode()
        .to(dtype)
        for index in progress.track(range(len(views)), description=f"latents {copy}")
    ]
    return torch.stack(latents)


def encode_other_copies(
    autoencoder: PatchAutoencoder,
    views: ViewArrays,
    latents: Tensor,
    copies: int,
    progress: Progress = SILENT,
) -> Tensor:
    """[copies - 1, N, V, C, h, w] float16: what `encode_copy` gives for all copies but the first, whose `latents`
    [N, V, C, h, w] are given."""
    others = latents.new_empty((copies - 1, *latents.shape), dtype=torch.float16)
    for index, other in enumerate(others):
        other.copy_(encode_copy(autoencoder, views, index + 1, progress))
    return others


@torch.no_grad()
def encode_painted(
    autoencoder: PatchAutoencoder,
    views: ViewArrays,
    rows: Tensor,
    paintings: Sequence[tuple[int, str, str]],
    progress: Progress = SILENT,
) -> Tensor:
    """[P, V, C, h, w] float16 latents of objects in other colours.

    Args:
        autoencoder: of the latents.
        views: of all objects.
        rows: which of them the paintings count.
        paintings: see `colors.paintings`.
    """
    shape = views.view_count, autoencoder.latent_channels, *(2 * [views.size // autoencoder.patch_size])
    latents = torch.empty((len(paintings), *shape), dtype=torch.float16)
    for place in progress.track(range(len(paintings)), description="latents painted"):
        index, own, wanted = paintings[place]
        rgba = painted(views.rgba_of(int(rows[index])), own, wanted)
        images = over_white(rgba.movedim(-1, -3))
        latents[place] = autoencoder.encode(images * 2 - 1).latent_dist.mode().half()
    return latents


def encode_twice(autoencoder: PatchAutoencoder, views: ViewArrays, progress: Progress = SILENT) -> Tensor:
    """[2, M, V, C, h, w] float16 latents of M objects: as they are, and as copy 3."""
    return torch.stack([encode_copy(autoencoder, views, copy, progress).half() for copy in _TWICE])
