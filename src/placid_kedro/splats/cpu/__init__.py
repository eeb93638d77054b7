"""Rasterization of Gaussians on the CPU: numba kernels with hand-written derivatives.

Every jitted function lives in the module of the kernel that calls it: numba's on-disk cache notices a change
of the kernel's own file only. The cache lies beside the modules, or where those cannot be written in the
user's cache folder or in `NUMBA_CACHE_DIR`.

Threads come from numba's own pool ("workqueue") unless `NUMBA_THREADING_LAYER` says otherwise. Its OpenMP
pool keeps spinning for milliseconds after each kernel, in the way of torch's own OpenMP pool and of everybody
else: up to ten times slower on two busy cores.
"""

from numba import config

if config.THREADING_LAYER == "default":  # type: ignore[attr-defined]
    config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]
