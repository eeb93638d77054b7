"""Files that somebody else wrote: limits first, then parsing, and whatever a parser raises becomes one sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from placid_kedro.errors import DataError, PlacidError

MAX_BYTES = 2 * 2**30
# A text compresses 10 to 30 times, drawn pictures more; what compresses 200 times is made to fill disk and memory.
MAX_RATIO = 200
_SMALL = 2**20
_REASON_LIMIT = 160


@contextmanager
def reading(
    path: Path,
    what: str,
    remedy: str,
    *,
    max_bytes: int = MAX_BYTES,
    error: type[PlacidError] = DataError,
) -> Iterator[None]:
    """Read a file in the body.

    Args:
        path: the file.
        what: it should be, with its article: `a PNG image`.
        remedy: what to do when it is not, as half a sentence: `run the stage that writes it again`.
        max_bytes: of the file.
        error: class of the exception.

    Raises:
        PlacidError: of class `error`: the file is missing, too large or no such file; what the body raises of this
            project's own passes unchanged, as does a lack of memory.
    """
    try:
        if not path.is_file():
            kind = "is not a file" if path.exists() else "does not exist"
            raise error(f"{path} {kind}; {remedy}.")
        size = path.stat().st_size
        if size > max_bytes:
            raise error(f"{path} has {size} bytes, {what} may have {max_bytes}; {remedy}.")
        yield
    except (MemoryError, PlacidError):
        raise
    except Exception as cause:  # a parser raises whatever it meets in a malformed file
        raise error(f"{path} cannot be read as {what} ({one_line(cause)}); {remedy}.") from cause


def one_line(error: BaseException) -> str:
    """What an exception says, in one line of moderate length."""
    text = " ".join(str(error).split()).rstrip(".")
    named = text or type(error).__name__
    return named if len(named) <= _REASON_LIMIT else named[: _REASON_LIMIT - 3] + "..."


def check_members(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    """Refuse members of a zip archive that are encrypted, or that unpack to more than they may.

    Raises:
        ValueError: saying which; `reading` makes it a sentence.
    """
    unpacked, packed = (
        sum(getattr(info, size) for info in members) for size in ("file_size", "compress_size")
    )
    if unpacked > max_bytes or unpacked > MAX_RATIO * max(packed, _SMALL // MAX_RATIO):
        raise ValueError(f"it unpacks from {packed} to {unpacked} bytes")
    for info in members:
        if info.flag_bits & 1:
            raise ValueError(f"{info.filename[:60]!r} is encrypted")
