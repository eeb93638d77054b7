"""One sentence for every failure that is the user's to mend, and none for a defect of the program."""

import errno
import os

from placid_kedro.errors import PlacidError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def sentence_for(error: BaseException) -> str | None:
    """Look through an error and its causes for something the user can mend.

    Returns:
        One sentence, or None for an error that nobody foresaw, which deserves its traceback.
    """
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, PlacidError):
            return str(cause)
        if _is_full_disk(cause):
            names = (name for inner in causes if (name := getattr(inner, "filename", None)))
            place = next((f" while writing {name}" for name in names), "")
            return (
                f"The disk is full{place}; finished files are as they were: make room and go on with "
                "--only-missing-outputs."
            )
        if isinstance(cause, OSError) and cause.errno in _DENIED:
            place = cause.filename or "A file"
            return f"{place} cannot be written; give write permission or choose another data_root."
        if _is_out_of_memory(cause):
            return "The machine has not enough memory for this run; choose smaller sizes or another machine."
    return None


def _is_full_disk(error: BaseException) -> bool:
    # Libraries in Rust and C++ raise errors of their own that carry the system's words only.
    return (isinstance(error, OSError) and error.errno in _FULL) or os.strerror(errno.ENOSPC) in str(error)


def _is_out_of_memory(error: BaseException) -> bool:
    # PyTorch raises a RuntimeError on the CPU and a class of its own on CUDA.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and so on."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain
