"""Kernels end in the same bits in the process that finds numba's cache empty and in the next ones."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from placid_kedro import kernels
from placid_kedro.errors import ResourceError

PROGRAM = """
import hashlib
import numpy as np
import numba
from placid_kedro import kernels
from placid_kedro.splats.cpu import projection

rng = np.random.default_rng(0)
count, views = 300, 2
means, quats, scales = (rng.normal(size=(count, width)).astype(np.float32) for width in (3, 4, 3))
viewmats = np.broadcast_to(np.eye(4, dtype=np.float32), (views, 4, 4)).copy()
viewmats[:, 2, 3] = 3.0
Ks = np.broadcast_to(np.array([[60, 0, 32], [0, 60, 32], [0, 0, 1]], np.float32), (views, 3, 3)).copy()
sizes = [np.float32(value) for value in (64, 64, 0.01, 100, 0.3, 0)]
radii = np.zeros((views, count, 2), np.int32)
means2d, depths, conics = (np.zeros((views, count, width), np.float32) for width in (2, 1, 3))
opacities = np.full(count, 0.5, np.float32)
kernels.call(
    projection.project_forward,
    means, quats, np.abs(scales) * 0.1, opacities, viewmats, Ks, *sizes, radii, means2d, depths[..., 0].copy(), conics,
)
assert not projection.project_forward.stats.cache_misses
print(hashlib.sha256(means2d.tobytes() + conics.tobytes()).hexdigest())
"""


def run(cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_first_process_has_the_bits_of_the_second(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert any(tmp_path.rglob("*.nbc"))
    assert first == run(tmp_path)


def test_a_kernel_that_cannot_be_compiled_elsewhere_is_one_sentence() -> None:
    class Kernel:
        signatures = ()
        py_func = np.linspace

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(ResourceError, match=r"The kernel linspace could not be compiled .*NUMBA_CACHE_DIR"),
    ):
        patch.setattr(kernels, "in_cache", lambda *arguments: False)
        kernels.call(Kernel(), np.zeros(3))


ENVIRONMENT = """
import os
import placid_kedro
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep_unless_told_otherwise(given: dict[str, str], expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    result = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT],
        env={**environment, **given, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == expected
