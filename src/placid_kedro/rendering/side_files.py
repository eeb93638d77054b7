"""The files beside a mesh file: read from its own folder and below only."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from placid_kedro.rejections import Reason, RejectedAsset


class SideFiles:
    """Reads the files that a mesh file names.

    Args:
        asset: the mesh file.
        max_bytes: of one file.
    """

    def __init__(self, asset: Path, max_bytes: int) -> None:
        self._asset = asset.name
        self._folder = asset.parent.resolve()
        self._max_bytes = max_bytes

    def find(self, name: str) -> Path | None:
        """The file of that name, in another case or Unicode form when it is not there as written; None if missing.

        Raises:
            RejectedAsset: the name leads outside the folder.
        """
        try:
            place = (self._folder / name).resolve()
        except (OSError, ValueError, RuntimeError):  # a NUL byte, a loop of links
            return None
        if not place.is_relative_to(self._folder):
            raise RejectedAsset(Reason.PATH_OUTSIDE, f"{self._asset} names {name!r}, outside its folder")
        if _is_file(place):
            return place
        here = self._folder
        for component in place.relative_to(self._folder).parts:
            if not here.is_dir():
                return None
            here = next(
                (entry for entry in sorted(here.iterdir()) if _same(entry.name, component)), here / component
            )
        here = here.resolve()
        return here if _is_file(here) and here.is_relative_to(self._folder) else None

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            RejectedAsset: it is missing, too large, or outside the folder.
        """
        place = self.find(name)
        if place is None:
            raise RejectedAsset(Reason.MISSING_FILE, f"{self._asset} names {name!r}, which is not beside it")
        size = place.stat().st_size
        if size > self._max_bytes:
            raise RejectedAsset(Reason.TOO_LARGE, f"{name!r} has {size} bytes, allowed are {self._max_bytes}")
        return place.read_bytes()


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # a name that is too long
        return False


def _same(first: str, second: str) -> bool:
    return unicodedata.normalize("NFC", first).casefold() == unicodedata.normalize("NFC", second).casefold()
