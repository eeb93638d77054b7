"""What a GPU needs beside itself is found before a run."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import cpp_extension

from placid_kedro.app import gpu_check
from placid_kedro.app.gpu_check import Toolchain, check_gsplat, find_toolchain, release_of
from placid_kedro.app.preflight import check_splatting
from placid_kedro.errors import ResourceError

COMPLETE = Toolchain(ready_made=False, nvcc="12.8", torch_cuda="12.6", ninja=True, host_compiler=True)


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        ({"torch_cuda": None}, "built without CUDA"),
        ({"nvcc": None}, r"there is no nvcc: install the CUDA toolkit 12\.6"),
        ({"nvcc": "13.0"}, r"nvcc is of CUDA 13\.0, torch of CUDA 12\.6"),
        ({"ninja": False}, "there is no ninja"),
        ({"host_compiler": False}, r"there is no C\+\+ compiler"),
    ],
)
def test_what_gsplat_lacks_is_named(lack: dict[str, Any], said: str) -> None:
    check_gsplat(COMPLETE)
    with pytest.raises(ResourceError, match=said) as raised:
        check_gsplat(replace(COMPLETE, **lack))
    assert "docs/gpu.md" in str(raised.value) and "run.device=cpu" in str(raised.value)


def test_a_run_on_a_gpu_is_stopped_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Toolchain] = [replace(COMPLETE, nvcc=None)]
    monkeypatch.setattr(gpu_check, "find_toolchain", lambda: found[-1])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device in ("cuda", "auto"):
        with pytest.raises(ResourceError, match="there is no nvcc"):
            check_splatting(device)
    check_splatting("cpu")
    found.append(COMPLETE)
    check_splatting("cuda")


def test_kernels_that_came_compiled_need_no_compiler() -> None:
    check_gsplat(Toolchain(ready_made=True, nvcc=None, torch_cuda="12.4", ninja=False, host_compiler=False))


def test_the_compiler_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvcc in CUDA_HOME goes before one on the path, as torch has it."""
    for name, release in (("home", "12.8"), ("path", "11.8")):
        nvcc = tmp_path / name / "bin" / "nvcc"
        nvcc.parent.mkdir(parents=True)
        banner = (
            f"nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release {release}, V{release}.9"
        )
        nvcc.write_text(f"#!/bin/sh\necho '{banner}'\n")
        nvcc.chmod(nvcc.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", str(tmp_path / "home"))
    found = find_toolchain()
    assert (found.nvcc, found.ninja, found.host_compiler) == ("12.8", False, False)
    assert found.torch_cuda == torch.version.cuda
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", str(tmp_path / "elsewhere"))
    assert find_toolchain().nvcc == "11.8"
    assert release_of("/bin/false") is None
