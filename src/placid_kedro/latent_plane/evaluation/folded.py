"""Self-attention between the views' tokens of one point (Eq. 4-6), arranged to compute little per point.

A token is `[feature, camera embedding, point embedding]`. After the LayerNorm every projection is linear, so
it splits into a part of the feature, a part of the camera (constant) and a part of the point (one for all
views). And since layers only add to the residual stream, layer l reads `LN(token) + sum_j (A_j Wo_j + b_j)`:
its projection of an earlier layer's output A_j is one small matrix `W_l Wo_j`. `fold` computes those matrices
once a call; `attend` is then exact up to rounding. Only the token that is read passes through the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.latent_plane.geometry import SampledPoints
from placid_kedro.latent_plane.transformer import TokenTransformer


@dataclass(frozen=True)
class FoldedLayer:
    """One layer's q, k, v as functions of the raw token and of the earlier layers' attention outputs.

    Attributes:
        feature: [3 * inner, C], camera: [N, 3 * inner], point: [3 * inner, M]: the normalised token's parts.
        shift: [3 * inner] from the LayerNorm's bias.
        earlier: one [3 * inner, inner] matrix for every earlier layer.
        earlier_shift: [3 * inner] from the earlier layers' biases.
        sigma: [3 * inner] the density token's own projection, or None without such a token.
    """

    feature: Tensor
    camera: Tensor
    point: Tensor
    shift: Tensor
    earlier: tuple[Tensor, ...]
    earlier_shift: Tensor
    sigma: Tensor | None


@dataclass(frozen=True)
class FoldedTransformer:
    """The layers, and what the LayerNorm's statistics need of the parts that repeat."""

    layers: tuple[FoldedLayer, ...]
    camera_mean: Tensor
    camera_square: Tensor


@dataclass(frozen=True)
class PointTokens:
    """The raw view tokens of P points before they are put together, and the LayerNorm's statistics of them.

    Attributes:
        features: [P, N, C] sampled features.
        points: [P, M] embedding of the points.
        mean: [P, N, 1] mean of a token.
        inverse_deviation: [P, N, 1] one over its standard deviation.
    """

    features: Tensor
    points: Tensor
    mean: Tensor
    inverse_deviation: Tensor


@dataclass(frozen=True)
class ReadTokens:
    """One token of each of P points, in the parts that its last state is made of.

    Attributes:
        outputs: one [P, inner] a layer: the attention's output, before its output projection.
        mean: [P] of the raw token; means nothing for a density token, which is the same at all points.
        inverse_deviation: [P] likewise.
    """

    outputs: tuple[Tensor, ...]
    mean: Tensor
    inverse_deviation: Tensor


class TokenAttention(Protocol):
    """Attends to the tokens of points."""

    def __call__(self, points: SampledPoints, query: Tensor | None) -> ReadTokens:
        """Every layer's attention output for one token of each of P points: the tokens `query` [P], or the density's
        where it is None."""


def _centred_square(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and sum of squares about it, over the last dimension."""
    variance, mean = torch.var_mean(values, dim=-1, correction=0)
    return mean, variance * values.shape[-1]


def fold(
    transformer: TokenTransformer, cameras: Tensor, sigma_token: Tensor | None = None
) -> FoldedTransformer:
    """The matrices that attention needs.

    Args:
        transformer: with its weights.
        cameras: [N, M] the views' embeddings.
        sigma_token: [D] the raw density token, first in every point's set, or None.
    """
    with torch.autocast(device_type=cameras.device.type, enabled=False):
        C, M = transformer.feature_channels, transformer.embedding_dim
        stack = transformer.stack
        normalised_sigma = None if sigma_token is None else transformer.norm(sigma_token.float())
        layers = []
        for index, layer in enumerate(stack):
            weight = torch.cat([layer.to_q.weight, layer.to_k.weight, layer.to_v.weight])
            scaled = weight * transformer.norm.weight
            # Rows without their mean take the token's mean away by themselves.
            scaled = scaled - scaled.mean(dim=1, keepdim=True)
            biases = sum((earlier.to_out.bias for earlier in stack[:index]), cameras.new_zeros(()))
            layers.append(
                FoldedLayer(
                    feature=scaled[:, :C],
                    camera=cameras @ scaled[:, C : C + M].T,
                    point=scaled[:, C + M :],
                    shift=weight @ transformer.norm.bias,
                    earlier=tuple(weight @ earlier.to_out.weight for earlier in stack[:index]),
                    earlier_shift=weight @ biases.expand(weight.shape[1]),
                    sigma=None if normalised_sigma is None else weight @ normalised_sigma,
                )
            )
        camera_mean, camera_square = _centred_square(cameras)
        return FoldedTransformer(tuple(layers), camera_mean, camera_square)


@dataclass(frozen=True)
class FoldedAttention:
    """The attention of one object's tokens in matrix products, with gradients (a `TokenAttention`).

    Attributes:
        transformer: with its weights.
        folded: result of `fold`.
        table: [N * H * W, C] the feature part of the tokens at every texel.
    """

    transformer: TokenTransformer
    folded: FoldedTransformer
    table: Tensor

    def __call__(self, points: SampledPoints, query: Tensor | None) -> ReadTokens:
        return self.attend(self.tokens(points.taps.sample(self.table), points.embedding), query)

    def tokens(self, features: Tensor, points: Tensor) -> PointTokens:
        """Tokens of P points from sampled features [P, N, C] and the points' embeddings [P, M]."""
        C, M = self.transformer.feature_channels, self.transformer.embedding_dim
        feature_mean, feature_square = _centred_square(features)
        point_mean, point_square = (value[:, None] for value in _centred_square(points))
        mean = (C * feature_mean + M * self.folded.camera_mean + M * point_mean) / (C + 2 * M)
        # Sums of squares about the parts' own means: nothing cancels.
        square = feature_square + self.folded.camera_square + point_square
        square = square + C * (feature_mean - mean) ** 2
        square = square + M * ((self.folded.camera_mean - mean) ** 2 + (point_mean - mean) ** 2)
        inverse_deviation = torch.rsqrt(square / (C + 2 * M) + self.transformer.norm.eps)
        return PointTokens(features, points, mean[..., None], inverse_deviation[..., None])

    def attend(self, tokens: PointTokens, query: Tensor | None) -> ReadTokens:
        """Every layer's attention output for one token a point.

        Args:
            tokens: the points' tokens.
            query: [P] the token that is read, or None for the first (the density token, where there is one).
        """
        outputs: list[Tensor] = []
        normalised: Tensor | None = None
        for index, layer in enumerate(self.folded.layers[:-1]):
            # Layers that share their weights share the projection of the normalised tokens.
            if index == 0 or len(self.transformer.layers) > 1:
                normalised = self._project(layer, tokens, slice(None))
            assert normalised is not None
            q, k, v = _add_earlier(normalised, layer, outputs, slice(None)).chunk(3, dim=-1)
            outputs.append(self._attention(q, k, v))
        layer, keys_and_values = self.folded.layers[-1], slice(self.transformer.inner, None)
        if normalised is None or len(self.transformer.layers) > 1:
            normalised = self._project(layer, tokens, keys_and_values)
        else:
            normalised = normalised[..., keys_and_values]
        k, v = _add_earlier(normalised, layer, outputs, keys_and_values).chunk(2, dim=-1)
        read = [_read(output, query) for output in outputs]
        q = self._project_query(layer, tokens, query)
        q = _add_earlier(q, layer, [output[:, None] for output in read], slice(self.transformer.inner))
        return ReadTokens(
            (*read, self._attention(q, k, v)[:, 0]),
            _read(tokens.mean, query)[:, 0],
            _read(tokens.inverse_deviation, query)[:, 0],
        )

    def _project(self, layer: FoldedLayer, tokens: PointTokens, rows: slice) -> Tensor:
        """[P, T, O] rows of q, k, v of the normalised tokens, the density token first where there is one."""
        views = tokens.features @ layer.feature[rows].T
        views = views.add_((tokens.points @ layer.point[rows].T)[:, None]).add_(layer.camera[:, rows])
        views = (views * tokens.inverse_deviation).add_(layer.shift[rows])
        if layer.sigma is None:
            return views
        return torch.cat([layer.sigma[rows].to(views.dtype).expand(len(views), 1, -1), views], dim=1)

    def _project_query(self, layer: FoldedLayer, tokens: PointTokens, query: Tensor | None) -> Tensor:
        """[P, 1, inner] q of the normalised token that is read."""
        rows = slice(self.transformer.inner)
        if layer.sigma is not None and query is None:
            return layer.sigma[rows].expand(len(tokens.points), 1, -1)
        q = _read(tokens.features, query) @ layer.feature[rows].T + tokens.points @ layer.point[rows].T
        q = (q + layer.camera[0 if query is None else query, rows]) * _read(tokens.inverse_deviation, query)
        return (q + layer.shift[rows])[:, None]

    def _attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.transformer.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(start_dim=2)


def _add_earlier(normalised: Tensor, layer: FoldedLayer, outputs: list[Tensor], rows: slice) -> Tensor:
    """Rows of q, k, v of the residual stream, from those of the normalised tokens."""
    total = normalised
    for matrix, output in zip(layer.earlier, outputs, strict=True):
        total = output @ matrix[rows].T + total
    return total + layer.earlier_shift[rows] if outputs else total


def _read(values: Tensor, query: Tensor | None) -> Tensor:
    """[P, C] the rows `query` [P] of `values` [P, T, C]; None reads the first."""
    if query is None:
        return values[:, 0]
    return values.gather(1, query[:, None, None].expand(-1, 1, values.shape[-1]))[:, 0]
