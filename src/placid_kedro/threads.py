"""CPU threads of torch and of the compiled kernels; importing this module chooses numba's pool of threads.

Threads come from numba's own pool ("workqueue") unless `NUMBA_THREADING_LAYER` says otherwise. Its OpenMP pool is
also torch's: a kernel's call sets torch's number of threads back to all cores, and the pool keeps spinning for
milliseconds after each kernel, in the way of everybody else. On two busy cores a UNet became thirty times slower.
"""

from __future__ import annotations

import numba
import torch
from numba import config

if config.THREADING_LAYER == "default":  # type: ignore[attr-defined]
    config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]


def set_cpu_threads(count: int) -> None:
    """Let torch use `count` threads, and the compiled kernels as many, up to what numba was started with."""
    torch.set_num_threads(count)
    most: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(count, most))
