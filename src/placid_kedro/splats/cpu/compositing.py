"""Front-to-back compositing of four channels in 16 x 16 tiles, and its derivative (Kerbl et al. 2023, Sec.
6).

At a pixel, with d = mean - pixel centre and T the transmittance in front of a Gaussian,

    sigma = (a dx^2 + c dy^2) / 2 + b dx dy,    alpha = min(0.999, opacity exp(-sigma)),
    colour += T alpha colour_i,                 T *= 1 - alpha,

where alpha >= 1/255 and as long as T stays above 1e-4. The inner loops run over the sixteen columns of one
pixel row and are written so that LLVM vectorises them: no branches, no division by zero to report, one
scratch array per tile (distances inside it are known, so nothing can overlap), unsigned indices (nothing
wraps round).
"""

from __future__ import annotations

from math import sqrt

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Real = float | np.float32

TILE = 16
_PIXELS = TILE * TILE
_FAST = {"reassoc", "contract", "arcp", "nsz"}

_ALPHA_MAX = np.float32(0.999)
_T_MIN = np.float32(1e-4)
_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_PEEK = 16
"""A tile is asked every so many Gaussians whether all of its pixels are opaque."""

# exp(-s) = p(s)^8, p the minimax polynomial of degree 5: relative error on [0, 5.56] 6e-7, plus rounding
_E0 = np.float32(0.999999924)
_E1 = np.float32(-0.1249991)
_E2 = np.float32(0.0078107153)
_E3 = np.float32(-0.000324194931)
_E4 = np.float32(9.71605228e-06)
_E5 = np.float32(-1.7888673e-07)


@numba.njit(fastmath=_FAST, error_model="numpy")
def _exp_negative(s: Real) -> Real:
    root = _E0 + s * (_E1 + s * (_E2 + s * (_E3 + s * (_E4 + s * _E5))))
    root *= root
    root *= root
    return root * root


@numba.njit(fastmath=_FAST, error_model="numpy")
def _touches_row(record: Floats, left: Real, dy: Real) -> bool:
    """Whether the ellipse sigma <= largest sigma covers a pixel centre of a tile's row at dy, to 0.01
    pixels."""
    a, b = record[2], record[3]
    discriminant = dy * dy * (b * b - a * record[4]) + np.float32(2.0) * a * record[6]
    if discriminant < _ZERO:
        return False
    half_width = np.float32(sqrt(discriminant)) / a + np.float32(1e-2)
    center = record[0] + b * dy / a - left - _HALF
    return max(np.ceil(center - half_width), _ZERO) <= min(
        np.floor(center + half_width), np.float32(TILE - 1)
    )


@numba.njit(fastmath=_FAST, error_model="numpy")
def _rows(record: Floats, top: Real) -> tuple[int, int]:
    """First and past-the-last row of a tile that the ellipse may cover."""
    first = int(max(np.ceil(record[1] - record[7] - top - _HALF), _ZERO))
    last = int(min(np.floor(record[1] + record[7] - top - _HALF), np.float32(TILE - 1)))
    return first, last + 1


@numba.njit(fastmath=_FAST, error_model="numpy")
def _is_opaque(state: Floats) -> bool:
    """Whether no pixel of the tile lets light through any more."""
    total = _ZERO
    for p in range(_PIXELS):
        total += state[p]
    return total == _ZERO


@numba.njit(fastmath=_FAST, error_model="numpy")
def _blend_row(state: Floats, row: int, record: Floats, dx0: Real, dy: Real) -> None:
    """One Gaussian over one row. state: T, alpha and four channels, each of 256 pixels."""
    half_a, b_dy, c_dy2 = _HALF * record[2], record[3] * dy, _HALF * record[4] * dy * dy
    opacity, largest_sigma = record[5], record[6]
    c0, c1, c2, c3 = record[8], record[9], record[10], record[11]
    for column in range(TILE):
        p = np.uint64(row * TILE + column)
        dx = dx0 - np.float32(np.int32(column))
        sigma = (half_a * dx + b_dy) * dx + c_dy2
        alpha = min(opacity * _exp_negative(sigma), _ALPHA_MAX)
        t = state[p]
        t_next = t * (_ONE - alpha)
        covered = sigma <= largest_sigma
        t_kept = t_next if t_next > _T_MIN else _ZERO
        weight = alpha * t if covered & (t_next > _T_MIN) else _ZERO
        state[p] = t_kept if covered else t
        state[p + np.uint64(_PIXELS)] += weight
        state[p + np.uint64(2 * _PIXELS)] += weight * c0
        state[p + np.uint64(3 * _PIXELS)] += weight * c1
        state[p + np.uint64(4 * _PIXELS)] += weight * c2
        state[p + np.uint64(5 * _PIXELS)] += weight * c3


@numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
def composite_forward(
    work: npt.NDArray[np.int64],
    records: Floats,
    offsets: npt.NDArray[np.int64],
    members: npt.NDArray[np.int32],
    tiles_x: int,
    tiles_y: int,
    channels: Floats,
    alphas: Floats,
) -> None:
    """Fill channels [C, H, W, 4] and alphas [C, H, W], without background.

    Args:
        work: [C * tiles] int64, the order in which (view, tile) pairs are taken.
        records, offsets, members: see `tiling`.
    """
    height, width = alphas.shape[1:]
    for i in numba.prange(work.shape[0]):
        tile = work[i]
        view = tile // (tiles_x * tiles_y)
        top = tile // tiles_x % tiles_y * TILE
        left = tile % tiles_x * TILE
        state = np.zeros(6 * _PIXELS, np.float32)
        for row in range(min(TILE, height - top)):
            state[row * TILE : row * TILE + min(TILE, width - left)] = _ONE
        for j in range(offsets[tile], offsets[tile + 1]):
            if (j - offsets[tile]) % _PEEK == _PEEK - 1 and _is_opaque(state):
                break
            record = records[view, members[j]]
            dx0 = record[0] - np.float32(left) - _HALF
            first_row, past_row = _rows(record, np.float32(top))
            for row in range(first_row, past_row):
                dy = record[1] - np.float32(top + row) - _HALF
                if _touches_row(record, np.float32(left), dy):
                    _blend_row(state, row, record, dx0, dy)
        for row in range(min(TILE, height - top)):
            for column in range(min(TILE, width - left)):
                p = row * TILE + column
                alphas[view, top + row, left + column] = state[_PIXELS + p]
                for k in range(4):
                    channels[view, top + row, left + column, k] = state[(2 + k) * _PIXELS + p]


@numba.njit(fastmath=_FAST, error_model="numpy")
def _blend_row_backward(
    state: Floats, sums: Floats, row: int, record: Floats, dx0: Real, dy: Real, absgrad: bool
) -> None:
    """Derivative of `_blend_row`.

    state: T, what the Gaussians behind (and the background) still give to the loss, and the derivatives of
    the four channels, each of 256 pixels. sums: v_alpha's products of each column, see `_collect`.
    """
    half_a, b_dy, c_dy2 = _HALF * record[2], record[3] * dy, _HALF * record[4] * dy * dy
    a, b, c_dy = record[2], record[3], record[4] * dy
    opacity, largest_sigma = record[5], record[6]
    c0, c1, c2, c3 = record[8], record[9], record[10], record[11]
    for column in range(TILE):
        p = np.uint64(row * TILE + column)
        q = np.uint64(column)
        dx = dx0 - np.float32(np.int32(column))
        sigma = (half_a * dx + b_dy) * dx + c_dy2
        unclamped = opacity * _exp_negative(sigma)
        alpha = min(unclamped, _ALPHA_MAX)
        t = state[p]
        t_next = t * (_ONE - alpha)
        covered = sigma <= largest_sigma
        drawn = covered & (t_next > _T_MIN)
        t_kept = t_next if t_next > _T_MIN else _ZERO
        weight = alpha * t if drawn else _ZERO
        v0 = state[p + np.uint64(2 * _PIXELS)]
        v1 = state[p + np.uint64(3 * _PIXELS)]
        v2 = state[p + np.uint64(4 * _PIXELS)]
        v3 = state[p + np.uint64(5 * _PIXELS)]
        here = c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
        behind = state[p + np.uint64(_PIXELS)] - weight * here
        v_alpha = t * here - behind / (_ONE - alpha)
        v_sigma = -unclamped * v_alpha if drawn & (unclamped <= _ALPHA_MAX) else _ZERO
        state[p] = t_kept if covered else t
        state[p + np.uint64(_PIXELS)] = behind
        sums[q] += weight * v0
        sums[q + np.uint64(TILE)] += weight * v1
        sums[q + np.uint64(2 * TILE)] += weight * v2
        sums[q + np.uint64(3 * TILE)] += weight * v3
        sums[q + np.uint64(4 * TILE)] += v_sigma
        sums[q + np.uint64(5 * TILE)] += v_sigma * dy
        sums[q + np.uint64(6 * TILE)] += v_sigma * dy * dy
        if absgrad:
            sums[q + np.uint64(7 * TILE)] += abs(v_sigma * (a * dx + b_dy))
            sums[q + np.uint64(8 * TILE)] += abs(v_sigma * (b * dx + c_dy))


@numba.njit(fastmath=_FAST, error_model="numpy")
def _collect(sums: Floats, record: Floats, dx0: Real, v_member: Floats) -> None:
    """Turn the column sums of one Gaussian in one tile into derivatives and clear them.

    v_member: [12], derivatives by u, v, a, b, c, opacity, |u|, |v|, four channels.
    """
    s = sx = sxx = sy = sxy = syy = abs_x = abs_y = v0 = v1 = v2 = v3 = _ZERO
    for column in range(TILE):
        q = np.uint64(column)
        dx = dx0 - np.float32(np.int32(column))
        v0 += sums[q]
        v1 += sums[q + np.uint64(TILE)]
        v2 += sums[q + np.uint64(2 * TILE)]
        v3 += sums[q + np.uint64(3 * TILE)]
        column_s = sums[q + np.uint64(4 * TILE)]
        column_sy = sums[q + np.uint64(5 * TILE)]
        s += column_s
        sx += column_s * dx
        sxx += column_s * dx * dx
        sy += column_sy
        sxy += column_sy * dx
        syy += sums[q + np.uint64(6 * TILE)]
        abs_x += sums[q + np.uint64(7 * TILE)]
        abs_y += sums[q + np.uint64(8 * TILE)]
    sums[:] = _ZERO
    v_member[0] = record[2] * sx + record[3] * sy
    v_member[1] = record[3] * sx + record[4] * sy
    v_member[2] = _HALF * sxx
    v_member[3] = sxy
    v_member[4] = _HALF * syy
    v_member[5] = -s / record[5]
    v_member[6] = abs_x
    v_member[7] = abs_y
    v_member[8] = v0
    v_member[9] = v1
    v_member[10] = v2
    v_member[11] = v3


@numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
def composite_backward(
    work: npt.NDArray[np.int64],
    records: Floats,
    offsets: npt.NDArray[np.int64],
    members: npt.NDArray[np.int32],
    tiles_x: int,
    tiles_y: int,
    channels: Floats,
    alphas: Floats,
    v_channels: Floats,
    v_alphas: Floats,
    absgrad: bool,
    v_members: Floats,
) -> None:
    """Fill v_members [members, 12] (see `_collect`; zero before), a row for each Gaussian of each tile.

    Args:
        channels, alphas: what `composite_forward` filled; v_channels, v_alphas: the derivatives by them.
        absgrad: whether to sum the absolute derivatives by u and v too.
    """
    height, width = alphas.shape[1:]
    for i in numba.prange(work.shape[0]):
        tile = work[i]
        view = tile // (tiles_x * tiles_y)
        top = tile // tiles_x % tiles_y * TILE
        left = tile % tiles_x * TILE
        state = np.zeros(6 * _PIXELS, np.float32)
        sums = np.zeros(9 * TILE, np.float32)
        for row in range(min(TILE, height - top)):
            for column in range(min(TILE, width - left)):
                p = row * TILE + column
                state[p] = _ONE
                y, x = top + row, left + column
                # v_alpha_i = T c_i v - behind_i / (1 - alpha_i), the alpha channel's share in `behind`
                behind = -(_ONE - alphas[view, y, x]) * v_alphas[view, y, x]
                for k in range(4):
                    behind += channels[view, y, x, k] * v_channels[view, y, x, k]
                    state[(2 + k) * _PIXELS + p] = v_channels[view, y, x, k]
                state[_PIXELS + p] = behind
        for j in range(offsets[tile], offsets[tile + 1]):
            if (j - offsets[tile]) % _PEEK == _PEEK - 1 and _is_opaque(state):
                break
            record = records[view, members[j]]
            dx0 = record[0] - np.float32(left) - _HALF
            first_row, past_row = _rows(record, np.float32(top))
            for row in range(first_row, past_row):
                dy = record[1] - np.float32(top + row) - _HALF
                if _touches_row(record, np.float32(left), dy):
                    _blend_row_backward(state, sums, row, record, dx0, dy, absgrad)
            _collect(sums, record, dx0, v_members[j])
