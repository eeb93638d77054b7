"""Whether a GPU can render splats, before a run: gsplat compiles its kernels when it is first used, and without a
compiler it fails in the middle of a run with a sentence about something else."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from placid_kedro.errors import ResourceError

_WAYS = "docs/gpu.md has the commands, --params run.device=cpu renders without them"


@dataclass(frozen=True)
class Toolchain:
    """What gsplat finds on this machine.

    Attributes:
        ready_made: its kernels were compiled when it was installed, so that nothing else is needed.
        nvcc: release of the CUDA compiler, such as `12.8`; None where there is none.
        torch_cuda: release of CUDA that torch was built with; None for a torch without CUDA.
        ninja: the build tool is there.
        host_compiler: a C++ compiler is there.
    """

    ready_made: bool
    nvcc: str | None
    torch_cuda: str | None
    ninja: bool
    host_compiler: bool


def find_toolchain() -> Toolchain:
    """Look for gsplat's kernels and for what compiles them, where torch and gsplat look."""
    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    gsplat = find_spec("gsplat")
    folders = gsplat.submodule_search_locations if gsplat is not None else None
    in_home = Path(CUDA_HOME) / "bin" / "nvcc" if CUDA_HOME else None
    nvcc = str(in_home) if in_home is not None and in_home.is_file() else shutil.which("nvcc")
    return Toolchain(
        ready_made=any(
            path.suffix in (".so", ".pyd") for folder in folders or () for path in Path(folder).glob("csrc*")
        ),
        nvcc=release_of(nvcc) if nvcc else None,
        torch_cuda=torch.version.cuda,
        ninja=shutil.which("ninja") is not None,
        host_compiler=any(shutil.which(name) for name in ("c++", "g++", "cl")),
    )


def release_of(nvcc: str) -> str | None:
    """The release that a CUDA compiler gives as its own."""
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"release (\d+\.\d+)", said)
    return found[1] if found else None


def check_gsplat(found: Toolchain) -> None:
    """Refuse to render on a GPU what gsplat cannot compile.

    Raises:
        ResourceError: naming what is missing.
    """
    if found.torch_cuda is None:
        raise ResourceError(f"This torch was built without CUDA, so no GPU can be used; {_WAYS}.")
    if found.ready_made:
        return
    if found.nvcc is None:
        raise ResourceError(
            "gsplat compiles its kernels with nvcc, and there is no nvcc: install the CUDA toolkit "
            f"{found.torch_cuda} and set CUDA_HOME to its folder; {_WAYS}."
        )
    if found.nvcc.split(".")[0] != found.torch_cuda.split(".")[0]:
        raise ResourceError(
            f"gsplat cannot be compiled: nvcc is of CUDA {found.nvcc}, torch of CUDA {found.torch_cuda}; install the "
            f"CUDA toolkit {found.torch_cuda} and set CUDA_HOME to its folder; {_WAYS}."
        )
    missing = "ninja" if not found.ninja else "C++ compiler" if not found.host_compiler else ""
    if missing:
        raise ResourceError(f"gsplat cannot be compiled: there is no {missing}; {_WAYS}.")
