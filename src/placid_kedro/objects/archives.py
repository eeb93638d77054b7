"""Reading members of zip archives that somebody else made."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from placid_kedro.foreign import MAX_RATIO, reading
from placid_kedro.rejections import Reason, RejectedAsset

_MAX_ARCHIVE_BYTES = 16 * 2**30


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip file.

    Raises:
        DataError: it is none.
    """
    with reading(path, "a zip archive", "get it again", max_bytes=_MAX_ARCHIVE_BYTES):
        return zipfile.ZipFile(path)


def extract_folder(archive: zipfile.ZipFile, folder: str, target: Path, max_bytes: int) -> None:
    """Unpack the members of one folder of an archive.

    Args:
        archive: the archive.
        folder: path inside it, without a slash at either end.
        target: existing folder; members keep their path below `folder`.
        max_bytes: of all of them together, unpacked.

    Raises:
        RejectedAsset: a member's name leads out of `target`, or they are too large.
    """
    prefix = folder + "/"
    members = [info for info in archive.infolist() if info.filename.startswith(prefix) and not info.is_dir()]
    packed = sum(info.compress_size for info in members)
    unpacked = sum(info.file_size for info in members)
    if unpacked > max_bytes or unpacked > MAX_RATIO * max(packed, 2**16):
        raise RejectedAsset(Reason.TOO_LARGE, f"{folder} unpacks from {packed} to {unpacked} bytes")
    for info in members:
        inside = PurePosixPath(info.filename.removeprefix(prefix).replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise RejectedAsset(Reason.PATH_OUTSIDE, f"the archive's member {info.filename!r} leads outside")
        place = target / inside
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source:
            # The header may lie about the size; reading stops where it said.
            data = source.read(info.file_size + 1)
        if len(data) != info.file_size:
            raise RejectedAsset(Reason.TOO_LARGE, f"{info.filename} is not as large as the archive says")
        place.write_bytes(data)
