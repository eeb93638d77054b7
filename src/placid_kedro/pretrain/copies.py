"""Copies of the training views in which an object is another one: mirrored, or with its colours exchanged.

Hundreds of objects are few for a network that is to see the far side of any; both changes keep what views of one object
have in common. Copy 0 is the objects themselves, odd copies are mirrored, and from copy 2 on colours are exchanged.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from placid_kedro.diffusion.patch_autoencoder import PatchAutoencoder
from placid_kedro.pretrain.views import ViewArrays
from placid_kedro.progress import SILENT, Progress

_EXCHANGES = tuple(itertools.permutations(range(3)))[1:]
_FIRST_EXCHANGED = 2


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
