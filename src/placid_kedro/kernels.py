"""Calls of compiled kernels that end in the same bits in the first process of a checkout and in all later ones.

numba compiles the body of a parallel loop twice: alone, and once more as part of the function that runs it. The process
that compiles uses the first, one that loads from numba's cache the second, and they differ in the order of sums, so in
the last bit. Here another process compiles what the cache lacks, and everybody loads.
"""

from __future__ import annotations

import base64
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numba

from placid_kedro.errors import ResourceError

_PROGRAM = "from placid_kedro.kernels import compile_for; compile_for({!r})"
_LAST_LINES = 3


def call(kernel: Any, *arguments: Any, made_by: tuple[str, str, tuple[Any, ...]] | None = None) -> None:
    """Call a kernel of numba's, loaded from its cache.

    Args:
        kernel: a function of a module, decorated with `numba.njit(cache=True)`.
        arguments: of the kernel; their types are the same at every call.
        made_by: module, name and arguments of the function that returns the kernel, where it is no module's own.

    Raises:
        ResourceError: numba's cache cannot be written.
    """
    if not kernel.signatures:
        signature = tuple(numba.typeof(argument) for argument in arguments)
        if not in_cache(kernel, signature):
            function = kernel.py_func
            _compile_elsewhere(made_by or (function.__module__, function.__name__, ()), signature)
            if not in_cache(kernel, signature):
                raise ResourceError(
                    f"The compiled kernel {function.__name__} is not in numba's cache; set NUMBA_CACHE_DIR to a folder "
                    "that can be written."
                )
    kernel(*arguments)


def in_cache(kernel: Any, signature: tuple[Any, ...]) -> bool:
    """Whether numba's cache on disk has a kernel, of the code as it is now, for these types of arguments."""
    cache = kernel._cache
    key = cache._index_key(signature, kernel.targetctx.codegen())
    return cache._cache_file.load(key) is not None


def compile_for(order: str) -> None:
    """What the other process does: compile one kernel, which numba puts into its cache."""
    # From `_compile_elsewhere` of the process that started this one.
    (module, name, arguments), signature = pickle.loads(base64.b64decode(order))  # nosec B301
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    kernel: Any = found(*arguments) if arguments else found
    kernel.compile(signature)


def _compile_elsewhere(made_by: tuple[str, str, tuple[Any, ...]], signature: tuple[Any, ...]) -> None:
    order = base64.b64encode(pickle.dumps((made_by, signature))).decode()
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(order)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        last = "; ".join(line.strip() for line in result.stderr.strip().splitlines()[-_LAST_LINES:])
        raise ResourceError(
            f"The kernel {made_by[1]} could not be compiled ({last}); give the machine memory and disk space, or set "
            "NUMBA_CACHE_DIR to a folder that can be written."
        )
