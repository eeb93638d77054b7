"""The most memory that a stage took: of the GPU where the networks compute there, else of this process."""

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_MIB = 2**20
# Linux: 5 sets a process's largest resident set back to its present one.
_RESET = Path("/proc/self/clear_refs"), "5"
_STATUS = Path("/proc/self/status")


def forget_peak() -> None:
    """Begin anew. Where the system cannot, the process's largest resident set stays that of its whole life."""
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    with suppress(OSError):
        _RESET[0].write_text(_RESET[1])


def peak_mib() -> float:
    """The most MiB since `forget_peak`: allocated by torch on a GPU, else resident of this process."""
    cuda = _cuda()
    if cuda is not None and cuda.max_memory_allocated():
        return float(cuda.max_memory_allocated() / _MIB)
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


def _cuda() -> Any:
    """torch's, where something has begun to use it."""
    torch: Any = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
