"""Files and folders that are either complete or not there: written under another name, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from placid_kedro.errors import DataError

MANIFEST = "manifest.json"
_HASH_BLOCK = 1 << 20


def is_local(source: str) -> bool:
    """Whether the name of a model or file is a path here: it begins with `.`, `/` or `~`."""
    return source.startswith((".", "/", "~"))


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a file whole: the body writes to the path it gets, which then takes the place of `path`.

    The temporary name ends like `path`, in the same folder. When the body raises (a full disk, an
    interrupt), the temporary file is deleted and what stood at `path` before stays.

    Raises:
        DataError: `path` is a folder.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder where a file is to be written; move or delete it and run again.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Write a folder whole: the body fills the folder it gets, a manifest is added last, then it replaces
    `path`.

    When the body raises, the temporary folder is deleted and what stood at `path` before stays.

    Raises:
        DataError: `path` exists and is not a finished folder of this project.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, previous = _temporary_name(path), path.with_name(f".old-{os.getpid()}-{path.name}")
    temporary.mkdir()
    try:
        yield temporary
        write_manifest(temporary)
        if path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if previous.exists() and not path.exists():
            os.replace(previous, path)
        shutil.rmtree(previous, ignore_errors=True)


def write_manifest(folder: Path) -> None:
    """List a folder's files with size and SHA-256 in its `manifest.json`; its presence says that it is
    finished."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    entries = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_hash(path)}
        for path in files
    }
    with new_file(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps({"files": entries}, indent=1) + "\n")


def is_finished(folder: Path) -> bool:
    """Whether a folder has its manifest and every file that the manifest lists, in its size."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return False
    try:
        entries = json.loads(manifest.read_text())["files"]
        return all((folder / name).stat().st_size == entry["bytes"] for name, entry in entries.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def check_replaceable(path: Path) -> None:
    """Refuse to replace something that is not a finished folder: it is half-written or somebody else's.

    Raises:
        DataError: `path` exists, is not an empty folder and has no complete manifest.
    """
    if not path.exists() or is_finished(path):
        return
    if not path.is_dir():
        raise DataError(f"{path} is a file where a folder is to be written; move or delete it and run again.")
    if any(path.iterdir()):
        raise DataError(
            f"The folder {path} is half-written or not of this project ({MANIFEST} is missing or does not "
            "match); move or delete it and run again."
        )


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def digest_of(*parts: Any) -> str:
    """A short hash of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".tmp-{os.getpid()}-{path.name}")
