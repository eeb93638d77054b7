"""One sentence for every failure that is the user's to mend, and none for a defect of the program."""

import errno

from kedro.io import DatasetError

from placid_kedro.errors import PlacidError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def sentence_for(error: BaseException) -> str | None:
    """Look through an error and its causes for something the user can mend.

    Returns:
        One sentence, or None for an error that nobody foresaw, which deserves its traceback.
    """
    for cause in _causes(error):
        if isinstance(cause, PlacidError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in _FULL:
            place = f" while writing {cause.filename}" if cause.filename else ""
            return f"The disk is full{place}; finished files are as they were, make room and run again."
        if isinstance(cause, PermissionError) or (isinstance(cause, OSError) and cause.errno in _DENIED):
            place = cause.filename or "A file"
            return f"{place} cannot be written; give write permission or choose another data_root."
        if isinstance(cause, MemoryError):
            return "The machine has not enough memory for this run; choose smaller sizes or another machine."
    if isinstance(error, ValueError) and str(error).startswith("Failed to find the pipeline named"):
        return " ".join(str(error).split())
    if isinstance(error, DatasetError) and "SafetensorError" in str(error):
        return " ".join(str(error).split())
    return None


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and so on."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain
