"""A rasterizer that meets every pixel with every Gaussian, in float64, for autograd to differentiate.

Written from the formulas of Kerbl et al. 2023, without tiles and without code in common with the kernels.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import sph_harm_y
from torch import Tensor


def rotation_matrices(quats: Tensor) -> Tensor:
    """Rodrigues' formula: R = I + 2 w [v]x + 2 [v]x^2 of unit quaternions (w, v)."""
    unit = quats / quats.norm(dim=-1, keepdim=True)
    cross = torch.zeros(len(quats), 3, 3, dtype=quats.dtype)
    x, y, z = unit[:, 1], unit[:, 2], unit[:, 3]
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
    return torch.eye(3, dtype=quats.dtype) + 2 * unit[:, 0, None, None] * cross + 2 * cross @ cross


def project(
    means: Tensor, quats: Tensor, scales: Tensor, view: Tensor, K: Tensor, eps2d: float = 0.3
) -> tuple[Tensor, Tensor, Tensor]:
    """(means2d [N, 2], covariances [N, 2, 2], depths [N]) for one camera, nothing near the image's border."""
    axes = rotation_matrices(quats) @ torch.diag_embed(scales)
    covariances = axes @ axes.transpose(1, 2)
    camera = means @ view[:3, :3].T + view[:3, 3]
    x, y, z = camera.unbind(-1)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [K[0, 0] / z, zero, -K[0, 0] * x / z**2, zero, K[1, 1] / z, -K[1, 1] * y / z**2], dim=-1
    ).reshape(-1, 2, 3)
    to_image = jacobian @ view[:3, :3]
    image_covariances = to_image @ covariances @ to_image.transpose(1, 2)
    pixels = camera @ K.T
    return pixels[:, :2] / z[:, None], image_covariances + eps2d * torch.eye(2, dtype=means.dtype), z


def composite(
    means2d: Tensor,
    covariances: Tensor,
    depths: Tensor,
    opacities: Tensor,
    features: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """(image [H, W, D], alpha [H, W]) by visiting the Gaussians one after the other, nearest first."""
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=means2d.dtype), torch.arange(width, dtype=means2d.dtype), indexing="ij"
    )
    pixels = torch.stack([columns, rows], dim=-1) + 0.5
    inverse = torch.linalg.inv(covariances)
    transmittance = torch.ones(height, width, dtype=means2d.dtype)
    open_ = torch.ones(height, width, dtype=torch.bool)
    image = torch.zeros(height, width, features.shape[1], dtype=means2d.dtype)
    for n in torch.argsort(depths.detach()).tolist():
        offset = pixels - means2d[n]
        sigma = 0.5 * torch.einsum("hwi,ij,hwj->hw", offset, inverse[n], offset)
        alpha = torch.clamp(opacities[n] * torch.exp(-sigma), max=0.999)
        meets = open_ & (alpha >= 1 / 255)
        remaining = transmittance * (1 - alpha)
        open_ = open_ & ~(meets & (remaining <= 1e-4))
        drawn = meets & open_
        image = image + torch.where(drawn, transmittance * alpha, 0.0)[..., None] * features[n]
        transmittance = torch.where(drawn, remaining, transmittance)
    return image, 1 - transmittance


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    views: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    backgrounds: Tensor,
) -> tuple[Tensor, Tensor]:
    """(images [C, H, W, D + 1], the last channel the expected depth, alphas [C, H, W, 1])."""
    images, alphas = [], []
    for view, K, background in zip(views, Ks, backgrounds, strict=True):
        means2d, covariances, depths = project(means, quats, scales, view, K)
        features = torch.cat([colors, depths[:, None]], dim=-1)
        image, alpha = composite(means2d, covariances, depths, opacities, features, width, height)
        color = image[..., :-1] + (1 - alpha)[..., None] * background
        depth = image[..., -1:] / alpha.clamp(min=1e-10)[..., None]
        images.append(torch.cat([color, depth], dim=-1))
        alphas.append(alpha[..., None])
    return torch.stack(images), torch.stack(alphas)


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """[N, (degree + 1)^2] real spherical harmonics with the Condon-Shortley phase, by scipy."""
    x, y, z = (directions / directions.norm(dim=-1, keepdim=True)).double().numpy().T
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    columns = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            values = sph_harm_y(band, abs(order), polar, azimuth)
            part = values.imag if order < 0 else values.real
            columns.append(part * (np.sqrt(2.0) if order else 1.0))
    return torch.from_numpy(np.stack(columns, axis=-1))
