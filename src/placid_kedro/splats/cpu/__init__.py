"""Rasterization of Gaussians on the CPU: numba kernels with hand-written derivatives.

Every jitted function lives in the module of the kernel that calls it: numba's on-disk cache notices a change
of the kernel's own file only. The cache lies beside the modules, or where those cannot be written in the
user's cache folder or in `NUMBA_CACHE_DIR`.
"""

from placid_kedro import threads as threads
