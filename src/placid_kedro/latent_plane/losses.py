"""Occupancy and depth of the density field from any camera, and the loss that trains them (Eq. 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane.geometry import compositing_weights, sample_rays
from placid_kedro.latent_plane.plane import LatentPlane

DEPTH_WEIGHT = 0.05
DepthPixels = Literal["all", "foreground"]
_SMALLEST_OCCUPANCY = 1e-6


@dataclass(frozen=True)
class DensityRender:
    """The density field along rays; all tensors have the rays' shape and are float32.

    Attributes:
        occupancy: in [0, 1].
        depth: expected depth `sum_k w_k z_k`, 0 where nothing is hit; planar for `Cameras.rays`.
        log_transmittance: `log(1 - occupancy)`, exact where the occupancy has rounded to 1.
    """

    occupancy: Tensor
    depth: Tensor
    log_transmittance: Tensor


def render_rays(
    plane: LatentPlane, features: Tensor, t_emb: Tensor, origins: Tensor, directions: Tensor
) -> DensityRender:
    """Volume rendering of one object's density field along rays (Eq. 7).

    Args:
        plane: the Latent-Plane.
        features: [N, C, H, W] feature maps.
        t_emb: [E] time embedding.
        origins: [..., 3].
        directions: [..., 3]; depths are in units of their length.

    Returns:
        Tensors [...].
    """
    shape = origins.shape[:-1]
    samples = sample_rays(origins.reshape(-1, 3), directions.reshape(-1, 3), plane.samples_per_ray)
    used = samples.used.nonzero()[:, 0]
    raw_sigma = plane.density(features, t_emb, samples.points[used].reshape(-1, 3))
    distances = samples.distances[used]
    raw_sigma = raw_sigma.reshape(distances.shape)
    weights = compositing_weights(raw_sigma, distances)
    optical = (torch.nn.functional.softplus(raw_sigma) * distances).sum(-1)
    parts = (weights.sum(-1), (weights * samples.depths[used]).sum(-1), -optical)
    empty = origins.new_zeros(samples.used.shape)
    return DensityRender(*(empty.index_copy(0, used, part).reshape(shape) for part in parts))


def render_density(plane: LatentPlane, features: Tensor, t_emb: Tensor, cameras: Cameras) -> DensityRender:
    """One object's occupancy and depth maps [V, H, W] from V arbitrary cameras.

    Args:
        plane: the Latent-Plane.
        features: [N, C, h, w] feature maps of the plane's own views.
        t_emb: [E] time embedding.
        cameras: the views to render.
    """
    origins, directions = cameras.to(features.device).rays()
    return render_rays(plane, features, t_emb, origins, directions)


def silhouette_loss(render: DensityRender, mask: Tensor) -> Tensor:
    """Mean binary cross-entropy between rendered occupancy and `mask` of the same shape in [0, 1].

    Taken from the optical depth, so that it has a gradient where the occupancy has rounded to 1.
    """
    log_occupancy = render.occupancy.clamp(min=_SMALLEST_OCCUPANCY).log()
    return -(mask * log_occupancy + (1 - mask) * render.log_transmittance).mean()


def pearson(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """Weighted Pearson correlation [B] of two tensors [B, R]; 0 where one of them is constant."""
    total = weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    first = first - (weights * first).sum(-1, keepdim=True) / total
    second = second - (weights * second).sum(-1, keepdim=True) / total
    covariance = (weights * first * second).sum(-1)
    variances = (weights * first**2).sum(-1) * (weights * second**2).sum(-1)
    return covariance * torch.rsqrt(variances.clamp(min=1e-12))


def density_loss(
    render: DensityRender,
    mask: Tensor,
    depth: Tensor,
    *,
    depth_weight: float = DEPTH_WEIGHT,
    depth_pixels: DepthPixels = "all",
) -> dict[str, Tensor]:
    """`BCE(M, M_gt) + 0.05 (1 - pearson(D, D_gt))` (Eq. 10).

    Args:
        render: of B objects, tensors [B, ...].
        mask: [B, ...] true occupancy in [0, 1].
        depth: [B, ...] true depth; what it holds outside the mask does not matter.
        depth_weight: weight of the second term.
        depth_pixels: correlate the whole maps, 0 where nothing is hit (the paper), or the foreground.

    Returns:
        Scalars "loss", "silhouette" and "depth_pearson" (mean over objects).

    Raises:
        ShapeError: when mask or depth differ in shape from the rendered maps.
    """
    if mask.shape != render.occupancy.shape or depth.shape != mask.shape:
        raise ShapeError(
            f"mask and depth must have the rendered maps' shape {list(render.occupancy.shape)}, "
            f"got {list(mask.shape)} and {list(depth.shape)}."
        )
    known = torch.where(mask > 0, depth, torch.zeros_like(depth))
    weights = torch.ones_like(mask) if depth_pixels == "all" else mask
    correlation = pearson(render.depth.flatten(1), known.flatten(1), weights.flatten(1)).mean()
    silhouette = silhouette_loss(render, mask)
    loss = silhouette + depth_weight * (1 - correlation)
    return {"loss": loss, "silhouette": silhouette.detach(), "depth_pearson": correlation.detach()}
