"""Occupancy and depth of the density field from any camera, and the loss that trains them (Eq. 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import compositing_weights, sample_rays
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane.inputs import ObjectInputs
from placid_kedro.latent_plane.plane import LatentPlane

DepthPixels = Literal["all", "foreground"]
_SMALLEST_OCCUPANCY = 1e-6


@dataclass(frozen=True)
class DensityTerms:
    """What is added to the cross-entropy of the silhouettes; the defaults are Eq. 10's.

    Attributes:
        depth_weight: of `1 - pearson(D, D_gt)`.
        depth_pixels: correlate the whole maps, 0 where nothing is hit (the paper), or the foreground.
        overlap_weight: of one minus the soft IoU of the silhouettes. Cross-entropy wants every pixel's probability,
            which stays below one half wherever a thin part may be here or there; the IoU wants some of it drawn.
    """

    depth_weight: float = 0.05
    depth_pixels: DepthPixels = "all"
    overlap_weight: float = 0.0


EQUATION_10 = DensityTerms()


@dataclass(frozen=True)
class RaySampling:
    """How the density field is sampled along rays.

    Attributes:
        samples_per_ray: points on a ray; None for the plane's own number.
        gradient_threshold: samples whose rendering weight changes by less than this when their raw density changes by
            one are rendered as they are, but get no gradient: those in empty space and behind surfaces, which are
            most. 0 for gradients everywhere.
    """

    samples_per_ray: int | None = None
    gradient_threshold: float = 0.0


AS_THE_PLANE = RaySampling()


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
    plane: LatentPlane,
    inputs: ObjectInputs,
    origins: Tensor,
    directions: Tensor,
    sampling: RaySampling = AS_THE_PLANE,
) -> DensityRender:
    """Volume rendering of one object's density field along rays (Eq. 7).

    Args:
        plane: the Latent-Plane.
        inputs: of the plane, for this object.
        origins: [..., 3].
        directions: [..., 3]; depths are in units of their length.
        sampling: along the rays.

    Returns:
        Tensors [...].
    """
    shape = origins.shape[:-1]
    count = sampling.samples_per_ray or plane.samples_per_ray
    samples = sample_rays(origins.reshape(-1, 3), directions.reshape(-1, 3), count)
    used = samples.used.nonzero()[:, 0]
    points, distances = samples.points[used].reshape(-1, 3), samples.distances[used]
    if sampling.gradient_threshold and torch.is_grad_enabled():
        with torch.no_grad():
            raw_sigma = plane.density_at(inputs, points).reshape(distances.shape)
        chosen = _with_leverage(raw_sigma, distances, sampling.gradient_threshold)
        differentiable = plane.density_at(inputs, points[chosen])
        raw_sigma = raw_sigma.flatten().index_copy(0, chosen, differentiable)
    else:
        raw_sigma = plane.density_at(inputs, points)
    raw_sigma = raw_sigma.reshape(distances.shape)
    weights = compositing_weights(raw_sigma, distances)
    optical = (torch.nn.functional.softplus(raw_sigma) * distances).sum(-1)
    parts = (weights.sum(-1), (weights * samples.depths[used]).sum(-1), -optical)
    empty = origins.new_zeros(samples.used.shape)
    return DensityRender(*(empty.index_copy(0, used, part).reshape(shape) for part in parts))


def _with_leverage(raw_sigma: Tensor, distances: Tensor, threshold: float) -> Tensor:
    """Flat indices of the samples [R, S] whose densities matter to their rays, at least one."""
    optical = torch.nn.functional.softplus(raw_sigma) * distances
    transmittance = torch.exp(optical - optical.cumsum(-1))
    leverage = (transmittance * raw_sigma.sigmoid() * distances).flatten()
    # Distributed training waits for a gradient of every parameter, be it small.
    return (leverage >= leverage.max().clamp(max=threshold)).nonzero()[:, 0]


def render_density(
    plane: LatentPlane,
    inputs: ObjectInputs,
    cameras: Cameras,
    sampling: RaySampling = AS_THE_PLANE,
) -> DensityRender:
    """One object's occupancy and depth maps [V, H, W] from V arbitrary cameras.

    Args:
        plane: the Latent-Plane.
        inputs: of the plane, for this object.
        cameras: the views to render.
        sampling: along their rays.
    """
    origins, directions = cameras.to(inputs.features.device).rays()
    return render_rays(plane, inputs, origins, directions, sampling)


def silhouette_loss(render: DensityRender, mask: Tensor) -> Tensor:
    """Mean binary cross-entropy between rendered occupancy and `mask` of the same shape in [0, 1].

    Taken from the optical depth, so that it has a gradient where the occupancy has rounded to 1.
    """
    log_occupancy = render.occupancy.clamp(min=_SMALLEST_OCCUPANCY).log()
    return -(mask * log_occupancy + (1 - mask) * render.log_transmittance).mean()


def soft_iou(occupancy: Tensor, mask: Tensor) -> Tensor:
    """`sum(o m) / sum(o + m - o m)` [B] of [B, R] in [0, 1], the IoU where both are 0 or 1; 0 where both are empty."""
    both = (occupancy * mask).sum(-1)
    either = occupancy.sum(-1) + mask.sum(-1) - both
    return both / either.clamp(min=_SMALLEST_OCCUPANCY)


def pearson(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """Weighted Pearson correlation [B] of two tensors [B, R]; 0 where one of them is constant."""
    total = weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    first = first - (weights * first).sum(-1, keepdim=True) / total
    second = second - (weights * second).sum(-1, keepdim=True) / total
    covariance = (weights * first * second).sum(-1)
    variances = (weights * first**2).sum(-1) * (weights * second**2).sum(-1)
    return covariance * torch.rsqrt(variances.clamp(min=1e-12))


def density_loss(
    render: DensityRender, mask: Tensor, depth: Tensor, terms: DensityTerms = EQUATION_10
) -> dict[str, Tensor]:
    """`BCE(M, M_gt) + 0.05 (1 - pearson(D, D_gt))` (Eq. 10), or with other terms.

    Args:
        render: of B objects, tensors [B, ...].
        mask: [B, ...] true occupancy in [0, 1].
        depth: [B, ...] true depth; what it holds outside the mask does not matter.
        terms: what counts beside the silhouettes' cross-entropy.

    Returns:
        Scalars "loss", "silhouette", "depth_pearson" and "soft_iou" (means over objects).

    Raises:
        ShapeError: when mask or depth differ in shape from the rendered maps.
    """
    if mask.shape != render.occupancy.shape or depth.shape != mask.shape:
        raise ShapeError(
            f"mask and depth must have the rendered maps' shape {list(render.occupancy.shape)}, "
            f"got {list(mask.shape)} and {list(depth.shape)}."
        )
    known = torch.where(mask > 0, depth, torch.zeros_like(depth))
    weights = torch.ones_like(mask) if terms.depth_pixels == "all" else mask
    correlation = pearson(render.depth.flatten(1), known.flatten(1), weights.flatten(1)).mean()
    overlap = soft_iou(render.occupancy.flatten(1), mask.flatten(1)).mean()
    silhouette = silhouette_loss(render, mask)
    loss = silhouette + terms.depth_weight * (1 - correlation) + terms.overlap_weight * (1 - overlap)
    parts = {"silhouette": silhouette, "depth_pearson": correlation, "soft_iou": overlap}
    return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}
