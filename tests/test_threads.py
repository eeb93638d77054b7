"""The compiled kernels and torch keep out of each other's way."""

import subprocess
import sys

PROGRAM = """
import torch
from placid_kedro.latent_plane import LatentPlane
from placid_kedro.threads import set_cpu_threads
import numba
set_cpu_threads(1)
plane = LatentPlane(feature_channels=8, time_embedding_dim=4, num_octaves=1, samples_per_ray=2)
with torch.no_grad():
    plane.density(torch.zeros(8, 8, 4, 4), torch.zeros(4), torch.zeros(70, 3))
assert numba.threading_layer() == "workqueue", numba.threading_layer()
assert torch.get_num_threads() == 1, torch.get_num_threads()
assert numba.get_num_threads() == 1, numba.get_num_threads()
"""


def test_a_compiled_kernel_leaves_torch_its_threads() -> None:
    """In a process of its own: the pool is chosen when the first kernel runs."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
