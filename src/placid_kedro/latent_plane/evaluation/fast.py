"""Latent-Plane evaluated fast: the equations' matrices multiplied once, samples along kept rays, a coarse grid.

Up to rounding the same as `placid_kedro.latent_plane.reference`, as long as `Evaluation` asks for no shortcut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.utils.checkpoint
from torch import Tensor

from placid_kedro.cameras.rays import compositing_weights
from placid_kedro.errors import ParameterError
from placid_kedro.latent_plane.evaluation.compiled import CompiledAttention
from placid_kedro.latent_plane.evaluation.folded import (
    FoldedAttention,
    FoldedTransformer,
    TokenAttention,
    fold,
)
from placid_kedro.latent_plane.evaluation.interface import RenderedMaps
from placid_kedro.latent_plane.evaluation.rays import ViewRays
from placid_kedro.latent_plane.evaluation.settings import Evaluation, Method
from placid_kedro.latent_plane.geometry import SampledPoints, UnsampledPoints
from placid_kedro.latent_plane.inputs import ObjectInputs
from placid_kedro.latent_plane.transformer import TokenTransformer

if TYPE_CHECKING:
    from placid_kedro.latent_plane.plane import LatentPlane

# Raw densities [P] at P points, of one object.
DensityAt = Callable[[SampledPoints | UnsampledPoints], Tensor]


@dataclass(frozen=True)
class FastEvaluator:
    """Eq. 3-9 with a plane's weights and its `Evaluation` (a `PlaneEvaluator`)."""

    plane: LatentPlane

    @property
    def evaluation(self) -> Evaluation:
        """The plane's."""
        return self.plane.evaluation

    def density(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P] sigma before softplus at points [P, 3] (Eq. 3-6)."""
        height, width = (size * self.plane.density_refinement for size in inputs.features.shape[-2:])
        cameras = self.plane.cameras.resized(width, height).to(points.device)
        return self.density_of(inputs)(UnsampledPoints(points, cameras, self.plane.num_octaves))

    def render(self, inputs: ObjectInputs) -> RenderedMaps:
        """The maps of all views (Eq. 7-8)."""
        N, _, H, W = inputs.features.shape
        rays = self.plane.view_rays(W, H)
        raw_sigma = self._ray_density(inputs, rays)
        weights = compositing_weights(raw_sigma, rays.distances)
        rendered = self._render_features(inputs.features, rays, weights)
        maps = [rendered, weights.sum(-1, keepdim=True), (weights * rays.depths).sum(-1, keepdim=True)]
        return RenderedMaps(
            *(
                part.new_zeros(N * H * W, part.shape[1])
                .index_copy(0, rays.rays, part)
                .reshape(N, H, W, -1)
                .permute(0, 3, 1, 2)
                for part in maps
            )
        )

    def _ray_density(self, inputs: ObjectInputs, rays: ViewRays) -> Tensor:
        """[U, S] raw densities along the used rays."""
        shape = rays.distances.shape
        density = self.density_of(inputs)
        if rays.lattice is None:
            return density(rays.density_points).reshape(shape)
        coarse = rays.lattice.interpolate(density(rays.lattice.points))
        weights = compositing_weights(coarse.detach().reshape(shape), rays.distances)
        chosen = (weights.flatten() > self.evaluation.lattice_threshold).nonzero()[:, 0]
        exact = density(rays.density_points[chosen])
        return coarse.index_copy(0, chosen, exact.to(coarse.dtype)).reshape(shape)

    def density_of(self, inputs: ObjectInputs) -> DensityAt:
        """One object's raw densities [P] at P points."""
        plane = self.plane
        table = texels(plane.density_maps(inputs)).float()
        time = plane.time_projection(inputs.t_emb.to(plane.dtype)).float()
        token = plane.sigma_token(torch.cat([plane.sigma_embedding, time]))
        folded = fold(plane.density_transformer, plane.camera_embedding(), token)
        normalised = plane.density_transformer.norm(token)
        stack = plane.density_transformer.stack
        # sigma_head(LN(token) + sum_l (A_l Wo_l + b_l)), with the head taken through the output projections.
        head = plane.sigma_head.weight[0]
        constant = plane.sigma_head.bias[0] + head @ (normalised + sum(layer.to_out.bias for layer in stack))
        readouts = [layer.to_out.weight.T @ head for layer in stack]
        attention = choose_attention(self.evaluation.method, plane.density_transformer, folded, table)
        coverage = plane.coverage(inputs)

        def density(points: SampledPoints | UnsampledPoints) -> Tensor:
            def block(part: slice) -> Tensor:
                chosen = points[part]
                outputs = attention(chosen, None).outputs
                sigma = constant + sum(o.float() @ r for o, r in zip(outputs, readouts, strict=True))
                if plane.silhouette_head is not None:
                    sigma = sigma + plane.silhouette_head(chosen.taps.sample_view(coverage.flatten(), 0))
                return sigma

            if len(points) == 0:
                return table.new_zeros(0)
            blocks = _blocks(len(points), self.evaluation.block_size)
            return torch.cat([self._run(block, part) for part in blocks])

        return density

    def _render_features(self, features: Tensor, rays: ViewRays, weights: Tensor) -> Tensor:
        """[U, C] the feature part along the used rays (Eq. 7-8).

        Everything that follows the attention is linear, so the attention's outputs are composited first. A ray's own
        view sees it as one pixel: the features that the layers add to are the same all along it.
        """
        transformer = self.plane.feature_transformer
        C, samples = features.shape[1], weights.shape[1]
        table = texels(features).float()
        kept = self._kept_weights(weights)
        chosen = kept.flatten().nonzero()[:, 0]
        if len(chosen) == 0 and torch.is_grad_enabled():
            # Distributed training waits for a gradient of every parameter, be it zero.
            chosen = weights.flatten().argmax(0, keepdim=True)
        folded = fold(transformer, self.plane.camera_embedding())
        attention = choose_attention(self.evaluation.method, transformer, folded, table)
        composited = table.new_zeros(len(weights), transformer.num_layers * transformer.inner + 2)

        def block(part: slice) -> Tensor:
            index = chosen[part]
            tokens = attention(rays.points[index], rays.views[index // samples])
            inverse = tokens.inverse_deviation[:, None]
            parts = torch.cat([*tokens.outputs, inverse, inverse * tokens.mean[:, None]], dim=1)
            return parts.float() * kept.flatten()[index, None]

        for part in _blocks(len(chosen), self.evaluation.block_size):
            composited = composited.index_add(0, chosen[part] // samples, self._run(block, part))
        occupancy = kept.sum(dim=-1, keepdim=True)
        own = table[rays.rays]
        gain, bias = transformer.norm.weight[:C], transformer.norm.bias[:C]
        rendered = (
            own * occupancy + (own * composited[:, -2:-1] - composited[:, -1:]) * gain + occupancy * bias
        )
        outputs = composited[:, :-2].split(transformer.inner, dim=1)
        for layer, output in zip(transformer.stack, outputs, strict=True):
            rendered = rendered + output @ layer.to_out.weight[:C].T + occupancy * layer.to_out.bias[:C]
        return rendered

    def _kept_weights(self, weights: Tensor) -> Tensor:
        """[U, S] the weights of the samples whose features are evaluated, zero elsewhere."""
        count = self.evaluation.feature_samples
        occupancy = weights.sum(dim=-1, keepdim=True)
        kept = weights * (occupancy.detach() > self.evaluation.occupancy_threshold)
        if count is None or count >= weights.shape[1]:
            return kept
        heaviest = kept.detach().topk(count, dim=-1).indices
        kept = kept * torch.zeros_like(kept).scatter(1, heaviest, 1.0)
        return kept * (occupancy / kept.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(kept.dtype).tiny))

    def _run(self, block: Callable[[slice], Tensor], part: slice) -> Tensor:
        if self.plane.gradient_checkpointing and torch.is_grad_enabled():
            return torch.utils.checkpoint.checkpoint(block, part, use_reentrant=False)
        return block(part)


def choose_attention(
    method: Method, transformer: TokenTransformer, folded: FoldedTransformer, table: Tensor
) -> TokenAttention:
    """The folded attention, or the compiled one where `method` allows it and it can be.

    Raises:
        ParameterError: "compiled" was asked for where it cannot be.
    """
    possible = may_compile(transformer, folded, table)
    if method == "compiled" and not possible:
        raise ParameterError(
            "The compiled attention runs on the CPU, with two layers and without gradients; use method 'auto'."
        )
    if method == "folded" or not possible:
        return FoldedAttention(transformer, folded, table)
    shared = len(transformer.layers) == 1
    return CompiledAttention.prepare(table, folded, transformer.num_heads, shared, transformer.norm.eps)


def may_compile(transformer: TokenTransformer, folded: FoldedTransformer, table: Tensor) -> bool:
    """Whether the CPU's compiled loop may attend: nothing that it takes wants a gradient (as in inference, and for
    the density in the second stage of training), and there are the paper's two layers."""
    differentiable = torch.is_grad_enabled() and any(
        part is not None and part.requires_grad
        for layer in folded.layers
        for part in (table, layer.feature, layer.shift, layer.earlier_shift, layer.sigma, *layer.earlier)
    )
    return table.device.type == "cpu" and transformer.num_layers == 2 and not differentiable


def texels(maps: Tensor) -> Tensor:
    """[N, C, H, W] to a table [N * H * W, C]."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def _blocks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
