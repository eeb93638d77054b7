"""Latent-Plane as the paper writes it (Sec. 4.2, Eq. 3-9): read this first.

Plain torch without any shortcut; geometry is in float64, because embeddings of high octaves magnify its rounding.
Everything else in this folder calculates the same faster, trains it or attaches it to a UNet, and is tested against
this file. N views, P points, S samples a ray, C channels, D the width of a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import compositing_weights, project, sample_rays
from placid_kedro.latent_plane.evaluation.interface import RenderedMaps
from placid_kedro.latent_plane.geometry import harmonic_embedding
from placid_kedro.latent_plane.inputs import ObjectInputs
from placid_kedro.latent_plane.transformer import TokenTransformer

if TYPE_CHECKING:
    from placid_kedro.latent_plane.plane import LatentPlane


def sample_maps(maps: Tensor, points: Tensor, cameras: Cameras) -> Tensor:
    """[P, N, C] the maps [N, C, H, W] of N views where points [P, 3] are seen in them; a map's border repeats."""
    size = torch.tensor([maps.shape[-1], maps.shape[-2]], device=maps.device)
    pixels = project(points, cameras.resized(maps.shape[-1], maps.shape[-2]))
    grid = (2 * pixels / size - 1).to(maps.dtype).transpose(0, 1)[:, :, None]
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)[..., 0].permute(2, 0, 1)


def view_tokens(sampled: Tensor, points: Tensor, cameras: Cameras, num_octaves: int) -> Tensor:
    """[P, N, D] one token a view and point: sampled feature, camera embedding, coordinate embedding (Eq. 3)."""
    camera = harmonic_embedding(cameras.positions, num_octaves).expand(len(points), -1, -1)
    coordinate = harmonic_embedding(points, num_octaves)[:, None].expand(-1, sampled.shape[1], -1)
    return torch.cat([sampled, camera.to(sampled), coordinate.to(sampled)], dim=-1)


def attend(tokens: Tensor, transformer: TokenTransformer) -> Tensor:
    """[P, T, D] tokens of a point after LayerNorm and residual self-attention among them (Eq. 5)."""
    tokens = transformer.norm(tokens)
    for layer in transformer.stack:
        q, k, v = (
            linear(tokens).unflatten(-1, (transformer.num_heads, -1)).transpose(1, 2)
            for linear in (layer.to_q, layer.to_k, layer.to_v)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
        tokens = tokens + layer.to_out((weights @ v).transpose(1, 2).flatten(2))
    return tokens


@dataclass(frozen=True)
class ReferenceEvaluator:
    """Eq. 3-9 with a plane's weights (a `PlaneEvaluator`)."""

    plane: LatentPlane

    def density(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P] sigma before softplus at points [P, 3] (Eq. 3-6)."""
        plane, points, cameras = self.plane, points.double(), self.plane.cameras.double().to(points.device)
        sampled = sample_maps(plane.density_maps(inputs), points, cameras)
        time = plane.time_projection(inputs.t_emb)
        sigma = plane.sigma_token(torch.cat([plane.sigma_embedding, time]))  # Eq. 4
        views = view_tokens(sampled, points, cameras, plane.num_octaves)  # Eq. 3
        tokens = torch.cat([sigma.expand(len(points), 1, -1), views], dim=1)
        tokens = attend(tokens, plane.density_transformer)  # Eq. 5
        raw_sigma = plane.sigma_head(tokens[:, 0])[:, 0]  # Eq. 6
        return raw_sigma + plane.silhouette_density(inputs, points)

    def features(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P, N, C] the enhanced feature of points [P, 3] as each view sees them (Eq. 5 without sigma's token)."""
        plane, points, cameras = self.plane, points.double(), self.plane.cameras.double().to(points.device)
        sampled = sample_maps(inputs.features.to(plane.dtype), points, cameras)
        tokens = view_tokens(sampled, points, cameras, plane.num_octaves)
        return sampled + attend(tokens, plane.feature_transformer)[..., : plane.feature_channels]

    def render(self, inputs: ObjectInputs) -> RenderedMaps:
        """Volume rendering along the rays through all texels of all views (Eq. 7-8)."""
        plane, (N, C, H, W) = self.plane, inputs.features.shape
        origins, directions = plane.cameras.double().resized(W, H).to(inputs.features.device).rays()
        maps = []
        for view in range(N):
            origin, direction = origins[view].reshape(-1, 3), directions[view].reshape(-1, 3)
            samples = sample_rays(origin, direction, plane.samples_per_ray, plane.missed_rays)
            points = samples.points.reshape(-1, 3)
            raw_sigma = self.density(inputs, points).reshape(samples.depths.shape)
            weights = (
                compositing_weights(raw_sigma, samples.distances.float()) * samples.used[:, None]
            )  # Eq. 7
            values = self.features(inputs, points)[:, view].reshape(*weights.shape, C)
            parts = [values, weights.new_ones(*weights.shape, 1), samples.depths[..., None].float()]
            rendered = torch.einsum("rs,rsc->rc", weights, torch.cat(parts, dim=-1))  # Eq. 8
            maps.append(rendered.T.reshape(-1, H, W))
        features, occupancy, depth = torch.stack(maps).split([C, 1, 1], dim=1)
        return RenderedMaps(features, occupancy, depth)
