"""Sorting the Gaussians of each view front to back and into the 16 x 16 pixel tiles that they touch."""

from __future__ import annotations

from math import ceil, floor, log, sqrt

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

TILE = 16
RECORD = 12
"""Floats a Gaussian in a record: u, v, conic a b c, opacity, largest sigma, half height, four channels."""

_LARGEST_SIGMA = np.float32(0.5 * 3.33 * 3.33)
_MARGIN = np.float32(1e-3)


@numba.njit(cache=True, error_model="numpy")
def fill_records(
    order: npt.NDArray[np.int64],
    radii: npt.NDArray[np.int32],
    means2d: Floats,
    conics: Floats,
    opacities: Floats,
    channels: Floats,
    records: Floats,
    sources: npt.NDArray[np.int32],
    tile_ranges: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    """Write what one pixel needs to know of each visible Gaussian, front to back.

    Args:
        order: [C, N] int64, Gaussians by depth; radii, means2d, conics: see `project_forward`.
        opacities: [N]; channels: [C, N, 4].
        records: [C, N, RECORD] float32, sources: [C, N] int32 (the Gaussian of each record) and
            tile_ranges: [C, N, 4] int32 (first and past-the-last tile along x and y) are filled.

    Returns:
        [C] int64 records of each view.
    """
    views, gaussians = order.shape
    visible = np.zeros(views, np.int64)
    for c in range(views):
        count = 0
        for i in range(gaussians):
            n = order[c, i]
            if radii[c, n, 0] <= 0:
                continue
            a, b, d = conics[c, n, 0], conics[c, n, 1], conics[c, n, 2]
            u, v = means2d[c, n, 0], means2d[c, n, 1]
            # opacity exp(-sigma) >= 1/255  <=>  sigma <= ln(255 opacity)
            largest_sigma = min(np.float32(log(np.float32(255.0) * opacities[n])), _LARGEST_SIGMA)
            squared = np.float32(2.0) * largest_sigma / (a * d - b * b)
            half_width = np.float32(sqrt(max(squared * d, np.float32(0.0)))) + _MARGIN
            half_height = np.float32(sqrt(max(squared * a, np.float32(0.0)))) + _MARGIN
            record = records[c, count]
            record[0] = u
            record[1] = v
            record[2] = a
            record[3] = b
            record[4] = d
            record[5] = opacities[n]
            record[6] = largest_sigma
            record[7] = half_height
            for k in range(4):
                record[8 + k] = channels[c, n, k]
            sources[c, count] = n
            tile_ranges[c, count, 0] = floor((u - half_width) / TILE)
            tile_ranges[c, count, 1] = ceil((u + half_width) / TILE)
            tile_ranges[c, count, 2] = floor((v - half_height) / TILE)
            tile_ranges[c, count, 3] = ceil((v + half_height) / TILE)
            count += 1
        visible[c] = count
    return visible


@numba.njit(cache=True, error_model="numpy")
def sort_into_tiles(
    visible: npt.NDArray[np.int64], tile_ranges: npt.NDArray[np.int32], tiles_x: int, tiles_y: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Counting sort of the records into tiles; inside a tile they stay front to back.

    Returns:
        (offsets [C * tiles + 1] int64, members [offsets[-1]] int32 record indices).
    """
    views = visible.shape[0]
    offsets = np.zeros(views * tiles_x * tiles_y + 1, np.int64)
    for c in range(views):
        for i in range(visible[c]):
            span = tile_ranges[c, i]
            span[0] = max(span[0], 0)
            span[1] = min(span[1], tiles_x)
            span[2] = max(span[2], 0)
            span[3] = min(span[3], tiles_y)
            for y in range(span[2], span[3]):
                for x in range(span[0], span[1]):
                    offsets[(c * tiles_y + y) * tiles_x + x + 1] += 1
    for t in range(1, offsets.shape[0]):
        offsets[t] += offsets[t - 1]
    members = np.empty(offsets[-1], np.int32)
    cursor = offsets[:-1].copy()
    for c in range(views):
        for i in range(visible[c]):
            span = tile_ranges[c, i]
            for y in range(span[2], span[3]):
                for x in range(span[0], span[1]):
                    tile = (c * tiles_y + y) * tiles_x + x
                    members[cursor[tile]] = i
                    cursor[tile] += 1
    return offsets, members


@numba.njit(cache=True, error_model="numpy")
def sum_over_tiles(
    offsets: npt.NDArray[np.int64],
    members: npt.NDArray[np.int32],
    sources: npt.NDArray[np.int32],
    v_members: Floats,
    tiles: int,
    v_records: Floats,
) -> None:
    """Add the derivatives of each tile's members to those of their Gaussians, in a fixed order.

    Args:
        v_members: [members, M]; v_records: [C, N, M], zero before, filled.
    """
    for t in range(offsets.shape[0] - 1):
        c = t // tiles
        for j in range(offsets[t], offsets[t + 1]):
            n = sources[c, members[j]]
            for k in range(v_members.shape[1]):
                v_records[c, n, k] += v_members[j, k]
