"""gsplat's own PyTorch rasterizer made to run without CUDA: a test oracle and the benchmark's yardstick.

`gsplat.rendering._rasterization` calls three CUDA functions and nerfacc. gsplat has PyTorch versions of two
of the functions; the third (which pixels meet which Gaussians) and nerfacc's two are written here in PyTorch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor

ALPHA_MIN = 1.0 / 255.0
ALPHA_MAX = 0.999
TRANSMITTANCE_MIN = 1e-4


def gsplat_rasterization(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """`gsplat.rendering._rasterization` on CPU tensors; same arguments and results."""
    from gsplat import rendering

    with _torch_versions():
        return rendering._rasterization(*args, **kwargs)


@contextmanager
def _torch_versions() -> Iterator[None]:
    from gsplat import rendering
    from gsplat.cuda import _torch_impl, _wrapper

    nerfacc = ModuleType("nerfacc")
    nerfacc.render_weight_from_alpha = _render_weight_from_alpha  # type: ignore[attr-defined]
    nerfacc.accumulate_along_rays = _accumulate_along_rays  # type: ignore[attr-defined]

    def isect_tiles(
        means2d: Tensor, radii: Tensor, depths: Tensor, *sizes: int, **_: Any
    ) -> tuple[Tensor, ...]:
        return _torch_impl._isect_tiles(means2d.detach(), radii, depths.detach(), *sizes)

    def spherical_harmonics(degree: int, directions: Tensor, coefficients: Tensor, masks: Tensor) -> Tensor:
        values = _torch_impl._spherical_harmonics(degree, directions, coefficients)
        return torch.where(masks[..., None], values, 0.0)

    with (
        mock.patch.dict(sys.modules, {"nerfacc": nerfacc}),
        mock.patch.object(rendering, "isect_tiles", isect_tiles),
        mock.patch.object(rendering, "isect_offset_encode", _torch_impl._isect_offset_encode),
        mock.patch.object(rendering, "spherical_harmonics", spherical_harmonics),
        mock.patch.object(_wrapper, "rasterize_to_indices_in_range", _rasterize_to_indices_in_range),
    ):
        yield


@torch.no_grad()
def _rasterize_to_indices_in_range(
    range_start: int,
    range_end: int,
    transmittances: Tensor,
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
    tile_size: int,
    isect_offsets: Tensor,
    flatten_ids: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """(Gaussian, pixel, image) of every contribution; those of a pixel lie together, front to back."""
    gaussians = means2d.shape[1]
    block = tile_size * tile_size
    bounds = torch.cat([isect_offsets.flatten(), isect_offsets.new_tensor([len(flatten_ids)])]).tolist()
    tiles_y, tiles_x = isect_offsets.shape[-2:]
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for tile, (start, stop) in enumerate(pairwise(bounds)):
        members = flatten_ids[start + range_start * block : min(stop, start + range_end * block)].long()
        if len(members) == 0:
            continue
        image, y, x = tile // (tiles_x * tiles_y), tile // tiles_x % tiles_y, tile % tiles_x
        rows = torch.arange(y * tile_size, min((y + 1) * tile_size, height))
        columns = torch.arange(x * tile_size, min((x + 1) * tile_size, width))
        pixels = (rows[:, None] * width + columns).flatten()
        centers = torch.stack([pixels % width, pixels // width], dim=-1) + 0.5
        dx, dy = (means2d.flatten(0, 1)[members] - centers[:, None]).unbind(-1)
        a, b, c = conics.flatten(0, 1)[members].unbind(-1)
        sigma = 0.5 * (a * dx**2 + c * dy**2) + b * dx * dy
        alpha = (opacities.flatten()[members] * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
        covered = (sigma >= 0) & (alpha >= ALPHA_MIN)
        passed = torch.where(covered, 1.0 - alpha, 1.0).cumprod(dim=1)
        after = transmittances[image].flatten()[pixels][:, None] * passed
        pixel, member = torch.where(covered & (after > TRANSMITTANCE_MIN))
        found.append((members[member] % gaussians, pixels[pixel], torch.full_like(pixel, image)))
    if not found:
        nothing = torch.empty(0, dtype=torch.long)
        return nothing, nothing, nothing
    ids, pixels, images = (torch.cat(parts) for parts in zip(*found, strict=True))
    return ids, pixels, images


def _render_weight_from_alpha(alphas: Tensor, ray_indices: Tensor, n_rays: int) -> tuple[Tensor, Tensor]:
    """Weights T_i alpha_i and transmittances T_i; the entries of a ray lie together."""
    log_passed = torch.log1p(-alphas.double())
    before = log_passed.cumsum(0) - log_passed
    first = torch.ones_like(ray_indices, dtype=torch.bool)
    first[1:] = ray_indices[1:] != ray_indices[:-1]
    start_of_ray = torch.where(first)[0][first.cumsum(0) - 1]
    transmittances = torch.exp(before - before[start_of_ray]).to(alphas)
    return transmittances * alphas, transmittances


def _accumulate_along_rays(
    weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int
) -> Tensor:
    terms = weights[:, None] if values is None else weights[:, None] * values
    return torch.zeros(n_rays, terms.shape[1], dtype=terms.dtype).index_add(0, ray_indices, terms)
