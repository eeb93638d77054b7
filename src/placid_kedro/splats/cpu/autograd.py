"""The CPU kernels as two differentiable torch functions: projection and compositing."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from placid_kedro import kernels
from placid_kedro.splats.cpu import compositing, projection, tiling

CHANNELS = 4
"""Channels that one call of `Composite` blends."""

_PARALLEL = Lock()  # numba's own pool takes one parallel kernel at a time


class Project(torch.autograd.Function):
    """(means [N, 3], quats [N, 4], scales [N, 3], opacities [N], viewmats [C, 4, 4], Ks [C, 3, 3], width,
    height, near, far, eps2d, radius_clip) -> (means2d [C, N, 2], conics [C, N, 3], depths [C, N], radii [C,
    N, 2] int32).

    Differentiable by means, quats and scales. Opacities only decide how far a Gaussian reaches.
    """

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        viewmats: Tensor,
        Ks: Tensor,
        width: int,
        height: int,
        near: float,
        far: float,
        eps2d: float,
        radius_clip: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        views, gaussians = len(viewmats), len(means)
        means2d = means.new_zeros(views, gaussians, 2)
        conics = means.new_zeros(views, gaussians, 3)
        depths = means.new_zeros(views, gaussians)
        radii = torch.zeros(views, gaussians, 2, dtype=torch.int32)
        with _PARALLEL:
            kernels.call(
                projection.project_forward,
                _numpy(means),
                _numpy(quats),
                _numpy(scales),
                _numpy(opacities),
                _numpy(viewmats),
                _numpy(Ks),
                np.float32(width),
                np.float32(height),
                np.float32(near),
                np.float32(far),
                np.float32(eps2d),
                np.float32(radius_clip),
                radii.numpy(),
                means2d.numpy(),
                depths.numpy(),
                conics.numpy(),
            )
        ctx.save_for_backward(means, quats, scales, viewmats, Ks, radii, conics)
        ctx.size = np.float32(width), np.float32(height)
        ctx.mark_non_differentiable(radii)
        return means2d, conics, depths, radii

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        v_means2d, v_conics, v_depths, _ = gradients
        means, quats, scales, viewmats, Ks, radii, conics = ctx.saved_tensors
        v_means, v_quats, v_scales = (
            torch.zeros_like(tensor, memory_format=torch.contiguous_format)
            for tensor in (means, quats, scales)
        )
        width, height = ctx.size
        with _PARALLEL:
            kernels.call(
                projection.project_backward,
                _numpy(means),
                _numpy(quats),
                _numpy(scales),
                _numpy(viewmats),
                _numpy(Ks),
                width,
                height,
                _numpy(radii),
                _numpy(conics),
                _numpy(v_means2d),
                _numpy(v_depths),
                _numpy(v_conics),
                v_means.numpy(),
                v_quats.numpy(),
                v_scales.numpy(),
            )
        return v_means, v_quats, v_scales, *(None,) * 9


class Composite(torch.autograd.Function):
    """(means2d [C, N, 2], conics [C, N, 3], opacities [N], channels [C, N, 4], depths [C, N], radii [C, N,
    2], width, height, absgrad) -> (channels [C, H, W, 4], alphas [C, H, W, 1]), over nothing (black,
    transparent).

    Differentiable by means2d, conics, opacities and channels; depths only sort. With `absgrad` the backward
    pass leaves the sum of the pixels' absolute derivatives in `means2d.absgrad`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        channels: Tensor,
        depths: Tensor,
        radii: Tensor,
        width: int,
        height: int,
        absgrad: bool,
    ) -> tuple[Tensor, Tensor]:
        views, gaussians = depths.shape
        tiles_x, tiles_y = -(-width // tiling.TILE), -(-height // tiling.TILE)
        order = torch.argsort(depths, dim=1, stable=True)
        records = np.empty((views, gaussians, tiling.RECORD), np.float32)
        sources = np.empty((views, gaussians), np.int32)
        tile_ranges = np.empty((views, gaussians, 4), np.int32)
        visible = tiling.fill_records(
            order.numpy(),
            _numpy(radii),
            _numpy(means2d),
            _numpy(conics),
            _numpy(opacities),
            _numpy(channels),
            records,
            sources,
            tile_ranges,
        )
        offsets, members = tiling.sort_into_tiles(visible, tile_ranges, tiles_x, tiles_y)
        work = _dealt(views * tiles_x * tiles_y)
        image = torch.empty(views, height, width, CHANNELS)
        alphas = torch.empty(views, height, width)
        with _PARALLEL:
            kernels.call(
                compositing.composite_forward,
                work,
                records,
                offsets,
                members,
                tiles_x,
                tiles_y,
                image.numpy(),
                alphas.numpy(),
            )
        ctx.save_for_backward(means2d, image, alphas)
        ctx.lists, ctx.sources, ctx.absgrad = (
            (work, records, offsets, members, tiles_x, tiles_y),
            sources,
            absgrad,
        )
        return image, alphas[..., None]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        v_image, v_alphas = gradients
        means2d, image, alphas = ctx.saved_tensors
        work, records, offsets, members, tiles_x, tiles_y = ctx.lists
        views, gaussians = ctx.sources.shape
        v_members = np.zeros((len(members), tiling.RECORD), np.float32)
        with _PARALLEL:
            kernels.call(
                compositing.composite_backward,
                work,
                records,
                offsets,
                members,
                tiles_x,
                tiles_y,
                _numpy(image),
                _numpy(alphas),
                _numpy(v_image),
                _numpy(v_alphas[..., 0]),
                ctx.absgrad,
                v_members,
            )
        v_records = torch.zeros(views, gaussians, tiling.RECORD)
        tiling.sum_over_tiles(offsets, members, ctx.sources, v_members, tiles_x * tiles_y, v_records.numpy())
        if ctx.absgrad:
            means2d.absgrad = v_records[..., 6:8]
        v_means2d, v_conics, v_opacities, v_channels = (
            v_records[..., :2],
            v_records[..., 2:5],
            v_records[..., 5].sum(dim=0),
            v_records[..., 8:],
        )
        return v_means2d, v_conics, v_opacities, v_channels, None, None, None, None, None


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _dealt(items: int) -> np.ndarray:
    """The numbers 0 .. items - 1 dealt round to the threads, each of which takes one contiguous piece."""
    threads = numba.get_num_threads()
    return np.concatenate([np.arange(first, items, threads) for first in range(threads)])
