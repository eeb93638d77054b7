"""The attention of a point's tokens on the CPU: one compiled loop over points instead of many small matrix products.

The same numbers as `FoldedAttention` up to rounding, for two layers (the paper's number). Two things make
it cheap. Projections of features are linear and so is bilinear sampling, so the feature maps are projected once,
texel by texel, and a point only blends four rows. And the last layer has a single query, the token that is read: its
keys `B A_j` and values need not be formed, because `q . (B A_j) = (B^T q) . A_j` and
`sum_j a_j (B A_j) = B sum_j a_j A_j`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from placid_kedro import kernels
from placid_kedro import threads as threads
from placid_kedro.latent_plane.evaluation.folded import FoldedTransformer, ReadTokens
from placid_kedro.latent_plane.geometry import SampledPoints

_BLOCK = 64
# Reductions may be reordered and fused; NaN and infinity keep their meaning.
_FAST = {"reassoc", "contract", "nsz", "arcp"}

# exp(x) = p(x / 32)^32 on [-80, 0], p of degree 8: relative error 2e-6.
_LOWEST = np.float32(-80.0)
_LOWEST_SCORE = np.float32(-3e38)
_HALVINGS = 5
_DOMAIN = [-80.0 / 2**_HALVINGS, 0.0]
_P = tuple(
    np.float32(c)
    for c in chebyshev.Chebyshev.interpolate(np.exp, 8, domain=_DOMAIN)
    .convert(kind=np.polynomial.Polynomial)
    .coef
)


@numba.njit(fastmath=_FAST, error_model="numpy")
def _exp(x):  # type: ignore[no-untyped-def]
    y = max(x, _LOWEST) * np.float32(1.0 / 32.0)
    p = _P[5] + y * (_P[6] + y * (_P[7] + y * _P[8]))
    p = _P[0] + y * (_P[1] + y * (_P[2] + y * (_P[3] + y * (_P[4] + y * p))))
    p *= p
    p *= p
    p *= p
    p *= p
    return p * p


# The helpers are inlined, so that the sizes, constants in `_kernel`, reach the compiler as constants.
@numba.njit(inline="always")
def _exponentials(scores, highest, flat, rows, columns):  # type: ignore[no-untyped-def]
    """`exp(scores - highest)` in place, row by row; `flat` is the same memory, so that the lanes stay full."""
    for i in range(rows):
        for j in range(columns):
            scores[i, j] -= highest[i]
    for index in range(rows * columns):
        flat[index] = _exp(flat[index])


@numba.njit(inline="always")
def _blend(table, rows, weights, p, n, start, stop, sampled):  # type: ignore[no-untyped-def]
    """Columns `start` to `stop` of the four texels around point p in view n, blended."""
    row_0, row_1, row_2, row_3 = rows[p, n, 0], rows[p, n, 1], rows[p, n, 2], rows[p, n, 3]
    w_0, w_1, w_2, w_3 = weights[p, n, 0], weights[p, n, 1], weights[p, n, 2], weights[p, n, 3]
    for o in range(start, stop):
        sampled[o] = (
            w_0 * table[row_0, o] + w_1 * table[row_1, o] + w_2 * table[row_2, o] + w_3 * table[row_3, o]
        )


@numba.njit(inline="always")
def _statistics(sampled, cameras, points, p, n, channels, width, eps):  # type: ignore[no-untyped-def]
    """The LayerNorm's mean and one over its deviation, for view n's token of point p."""
    C, M = np.float32(channels), np.float32((width - channels) // 2)
    feature_mean = np.float32(0.0)
    for o in range(channels):
        feature_mean += sampled[o]
    feature_mean /= C
    square = cameras[n, 1] + points[p, 1]
    for o in range(channels):
        square += (sampled[o] - feature_mean) * (sampled[o] - feature_mean)
    mean = (C * feature_mean + M * (cameras[n, 0] + points[p, 0])) / np.float32(width)
    feature_gap, camera_gap, point_gap = feature_mean - mean, cameras[n, 0] - mean, points[p, 0] - mean
    square += C * feature_gap * feature_gap + M * (camera_gap * camera_gap + point_gap * point_gap)
    return mean, np.float32(1.0) / np.sqrt(square / np.float32(width) + eps)


@numba.njit(inline="always")
def _first_layer(y, scores, highest, flat, attended, T, H, D, scale):  # type: ignore[no-untyped-def]
    for h in range(H):
        q, k, v = h * D, (H + h) * D, (2 * H + h) * D
        for i in range(T):
            highest[i] = _LOWEST_SCORE
            for j in range(T):
                s = np.float32(0.0)
                for d in range(D):
                    s += y[i, q + d] * y[j, k + d]
                scores[i, j] = s * scale
                highest[i] = max(highest[i], s * scale)
        _exponentials(scores, highest, flat, T, T)
        for i in range(T):
            total = np.float32(0.0)
            for d in range(D):
                attended[i, q + d] = np.float32(0.0)
            for j in range(T):
                total += scores[i, j]
                for d in range(D):
                    attended[i, q + d] += scores[i, j] * y[j, v + d]
            inverse = np.float32(1.0) / total
            for d in range(D):
                attended[i, q + d] *= inverse


@numba.njit(inline="always")
def _last_layer(  # type: ignore[no-untyped-def]
    y,
    key,
    value,
    attended,
    read,
    earlier_q,
    earlier,
    shift,
    scores,
    highest,
    flat,
    inner,
    out,
    T,
    H,
    D,
    scale,
):
    """From the query in `out` to the output of token `read` there; `earlier` holds the rows for keys, then values,
    `shift` the values' bias."""
    for i in range(H * D):
        for o in range(H * D):
            out[o] += earlier_q[i, o] * attended[read, i]
    for h in range(H):
        for i in range(H * D):
            inner[i] = np.float32(0.0)
        for d in range(D):
            for i in range(H * D):
                inner[i] += out[h * D + d] * earlier[h * D + d, i]
        highest[h] = _LOWEST_SCORE
        for j in range(T):
            s = np.float32(0.0)
            for d in range(D):
                s += out[h * D + d] * y[j, key + h * D + d]
            for i in range(H * D):
                s += inner[i] * attended[j, i]
            scores[h, j] = s * scale
            highest[h] = max(highest[h], s * scale)
    _exponentials(scores, highest, flat, H, T)
    for h in range(H):
        total = np.float32(0.0)
        for i in range(H * D):
            inner[i] = np.float32(0.0)
        for d in range(D):
            out[h * D + d] = np.float32(0.0)
        for j in range(T):
            total += scores[h, j]
            for i in range(H * D):
                inner[i] += scores[h, j] * attended[j, i]
            for d in range(D):
                out[h * D + d] += scores[h, j] * y[j, value + h * D + d]
        inverse = np.float32(1.0) / total
        for o in range(h * D, (h + 1) * D):
            s = out[o]
            for i in range(H * D):
                s += earlier[H * D + o, i] * inner[i]
            out[o] = s * inverse + shift[o]


@functools.cache
def _kernel(
    num_views: int, num_heads: int, head_dim: int, density_token: bool, shared: bool
) -> Callable[..., None]:
    """The loop over points for one set of sizes; a density token is first, and is the one that is read."""
    N, H, D, S = num_views, num_heads, head_dim, int(density_token)
    T, inner_width, scale = N + S, H * D, np.float32(D**-0.5)
    rows_of_scores, columns = max(T, H), (3 if shared else 5) * inner_width
    sizes = (T * columns, rows_of_scores * T, rows_of_scores, T * inner_width, inner_width, inner_width)
    scores_at, highest_at, attended_at, inner_at, out_at, total_size = itertools.accumulate(sizes)

    @numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
    def run(  # type: ignore[no-untyped-def]
        table, rows, weights, points, reads, cameras, shift, sigma, query, own_query, earlier_q, earlier,
        value_shift, channels, width, key, value, eps, result,
    ):  # fmt: skip
        for block in numba.prange((result.shape[0] + _BLOCK - 1) // _BLOCK):
            # One piece of memory: the compiler chooses loops by where arrays lie to each other, and their sums differ
            # in the last bit.
            scratch = np.empty(total_size + table.shape[1], np.float32)
            y = scratch[:scores_at].reshape(T, columns)
            flat = scratch[scores_at:highest_at]
            scores = flat.reshape(rows_of_scores, T)
            highest = scratch[highest_at:attended_at]
            attended = scratch[attended_at:inner_at].reshape(T, inner_width)
            inner = scratch[inner_at:out_at]
            out = scratch[out_at:total_size]
            sampled = scratch[total_size:]
            if S:
                for o in range(columns):
                    y[0, o] = sigma[o]
            for p in range(block * _BLOCK, min((block + 1) * _BLOCK, result.shape[0])):
                read = 0 if S else reads[p]
                for o in range(inner_width):
                    out[o] = query[o]
                for n in range(N):
                    _blend(table, rows, weights, p, n, 0, channels + columns, sampled)
                    mean, inverse = _statistics(sampled, cameras, points, p, n, channels, width, eps)
                    for o in range(columns):
                        y[n + S, o] = (
                            sampled[channels + o] + cameras[n, 2 + o] + points[p, 2 + o]
                        ) * inverse + shift[o]
                    if not S and n == read:
                        result[p, 2 * inner_width] = mean
                        result[p, 2 * inner_width + 1] = inverse
                        _blend(table, rows, weights, p, n, own_query, own_query + inner_width, sampled)
                        first = own_query - channels + 2
                        for o in range(inner_width):
                            out[o] += (
                                sampled[own_query + o] + cameras[n, first + o] + points[p, first + o]
                            ) * inverse
                _first_layer(y, scores, highest, flat, attended, T, H, D, scale)
                _last_layer(
                    y, key, value, attended, read, earlier_q, earlier, value_shift, scores, highest, flat,
                    inner, out, T, H, D, scale,
                )  # fmt: skip
                for o in range(inner_width):
                    result[p, o] = attended[read, o]
                    result[p, inner_width + o] = out[o]

    return run


@dataclass(frozen=True)
class CompiledAttention:
    """One call's matrices as the compiled loop takes them.

    Attributes:
        table: [N * H * W, C + O] texels: features, then their projections.
        point: [O, M] projection of the points' embeddings.
        cameras: [N, 2 + O] mean and centred sum of squares of the views' embeddings, then their projections.
        arguments: what follows these in the kernel's signature.
        sizes: views, heads, width of a head.
        density_token: whether the points have one; it is read then.
        shared: whether both layers are one set of weights.
    """

    table: np.ndarray
    point: Tensor
    cameras: np.ndarray
    arguments: tuple[Any, ...]
    sizes: tuple[int, int, int]
    density_token: bool
    shared: bool

    @classmethod
    def prepare(
        cls, texels: Tensor, folded: FoldedTransformer, num_heads: int, shared: bool, eps: float
    ) -> CompiledAttention:
        """From feature maps [N * H * W, C] and a folded transformer of two layers.

        Args:
            texels: the tokens' feature part at every texel.
            folded: with or without a density token.
            num_heads: attention heads.
            shared: whether both layers are one set of weights.
            eps: the LayerNorm's.
        """
        first, last = folded.layers
        earlier, inner = last.earlier[0], last.earlier[0].shape[1]

        def rows(name: str) -> Tensor:
            # The last layer's queries of views that are not read are never asked for.
            own = getattr(first, name)
            return own if shared else torch.cat([own, getattr(last, name)[inner:]])

        feature, point = rows("feature"), rows("point")
        cameras = first.camera if shared else torch.cat([first.camera, last.camera[:, inner:]], dim=1)
        query = last.earlier_shift[:inner]
        if last.sigma is not None:
            query = query + last.sigma[:inner]
            sigma, own_query = _array(rows("sigma")), 0
        else:
            query = query + last.shift[:inner]
            sigma = np.zeros(0, np.float32)
            # A shared layer's own queries stand first among the columns.
            own_query = texels.shape[1] + (0 if shared else len(feature))
            if not shared:
                feature = torch.cat([feature, last.feature[:inner]])
                point = torch.cat([point, last.point[:inner]])
                cameras = torch.cat([cameras, last.camera[:, :inner]], dim=1)
        camera_sums = torch.stack([folded.camera_mean, folded.camera_square], dim=1)
        key = inner if shared else 3 * inner
        arguments = (
            _array(rows("shift")),
            sigma,
            _array(query),
            own_query,
            _array(earlier[:inner].T),
            _array(earlier[inner:]),
            _array(last.earlier_shift[2 * inner :]),
            texels.shape[1],
            texels.shape[1] + 2 * point.shape[1],
            key,
            key + inner,
            np.float32(eps),
        )
        return cls(
            table=_array(torch.cat([texels, texels @ feature.T], dim=1)),
            point=point,
            cameras=_array(torch.cat([camera_sums, cameras], dim=1)),
            arguments=arguments,
            sizes=(len(first.camera), num_heads, inner // num_heads),
            density_token=first.sigma is not None,
            shared=shared,
        )

    def __call__(self, points: SampledPoints, query: Tensor | None) -> ReadTokens:
        """The tokens `query` [P] of P points, or their density tokens where it is None."""
        embedding = points.embedding
        variance, mean = torch.var_mean(embedding, dim=-1, correction=0, keepdim=True)
        projected = torch.cat([mean, variance * embedding.shape[-1], embedding @ self.point.T], dim=1)
        num_views, num_heads, head_dim = self.sizes
        inner = num_heads * head_dim
        result = torch.zeros(len(points), 2 * inner + 2)
        reads = np.zeros(0, np.int64) if query is None else query.numpy()
        sizes = (num_views, num_heads, head_dim, self.density_token, self.shared)
        kernels.call(
            _kernel(*sizes),
            self.table,
            points.taps.rows.numpy(),
            points.taps.weights.numpy(),
            _array(projected),
            reads,
            self.cameras,
            *self.arguments,
            result.numpy(),
            made_by=(__name__, _kernel.__name__, sizes),
        )
        return ReadTokens((result[:, :inner], result[:, inner:-2]), result[:, -2], result[:, -1])


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)
