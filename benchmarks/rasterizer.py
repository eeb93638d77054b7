"""The CPU rasterizer against gsplat's PyTorch reference, forward and backward.

RGB, expected depth, alpha and the gradients by all five inputs:

    python benchmarks/rasterizer.py [--gaussians 10000] [--size 128] [--views 1] [--repeats 20]

Both render the same Gaussians (a hollow ball almost as large as the unit cube) in one run. The fastest
repetitions are compared: they depend least on what else the machine is doing. Part of the reference's time is a
Python loop over the Gaussians that finds their tiles; the ratio without it is printed, too.
Target: at least 30 times faster than the reference.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from unittest import mock

import numba
import torch
from gsplat.cuda import _torch_impl
from gsplat_reference import gsplat_rasterization
from scenes import hollow_ball
from torch import Tensor

from placid_kedro.cameras import orbit
from placid_kedro.splats import rasterization

TARGET = 30.0


def step(
    rasterize: Callable[..., tuple[Tensor, Tensor, object]], leaves: list[Tensor], views: int, size: int
) -> float:
    """Seconds of one forward and backward pass."""
    cameras = orbit([360.0 * view / views for view in range(views)], 20.0, 1.5, 280.0 * size / 256, size)
    for leaf in leaves:
        leaf.grad = None
    start = time.perf_counter()
    image, alphas, _ = rasterize(
        *leaves,
        cameras.world_to_camera,
        cameras.K,
        size,
        size,
        backgrounds=torch.ones(views, 3),
        render_mode="RGB+ED",
    )
    (image.square().mean() + alphas.mean()).backward()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--gaussians", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--reference-repeats", type=int, default=3)
    arguments = parser.parse_args()
    leaves = hollow_ball(arguments.gaussians)

    start = time.perf_counter()
    step(rasterization, leaves, arguments.views, arguments.size)
    first = time.perf_counter() - start
    ours = [step(rasterization, leaves, arguments.views, arguments.size) for _ in range(arguments.repeats)]

    reference, tile_loop = [], []
    isect_tiles = _torch_impl._isect_tiles

    def timed_isect_tiles(*args: object) -> object:
        start = time.perf_counter()
        result = isect_tiles(*args)
        tile_loop.append(time.perf_counter() - start)
        return result

    with mock.patch.object(_torch_impl, "_isect_tiles", timed_isect_tiles):
        for _ in range(arguments.reference_repeats):
            reference.append(step(gsplat_rasterization, leaves, arguments.views, arguments.size))
            ours.append(step(rasterization, leaves, arguments.views, arguments.size))

    without_loop = [total - part for total, part in zip(reference, tile_loop, strict=True)]
    rows = {
        "this project (numba)": ours,
        "gsplat reference (PyTorch)": reference,
        "  without its tile loop": without_loop,
    }
    print(
        f"{arguments.gaussians:,} Gaussians, {arguments.views} view(s) of {arguments.size} px, "
        f"{numba.get_num_threads()} numba and {torch.get_num_threads()} torch thread(s); "
        f"first call {first:.1f} s"
    )
    print(f"{'':28}{'median ms':>12}{'ratio':>8}{'fastest ms':>14}{'ratio':>8}")
    for name, times in rows.items():
        median, fastest = statistics.median(times), min(times)
        print(
            f"{name:28}{1e3 * median:>12.1f}{median / statistics.median(ours):>8.1f}"
            f"{1e3 * fastest:>14.1f}{fastest / min(ours):>8.1f}"
        )
    ratio = min(reference) / min(ours)
    verdict = "reached" if ratio >= TARGET else "missed"
    print(f"target: at least {TARGET:.0f} times faster than the reference: {verdict} ({ratio:.1f})")


if __name__ == "__main__":
    main()
