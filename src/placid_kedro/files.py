"""Files and folders that are either complete or not there: written under another name, then renamed.

What a kill leaves under such a name is cleaned, or put back, by `clean_left_overs` at the next start.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from placid_kedro.errors import DataError

MANIFEST = "manifest.json"
_HASH_BLOCK = 1 << 20
_HIDDEN = re.compile(r"\.(tmp|old)-[0-9a-f]+-(?P<name>.+)", re.DOTALL)


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError("a manifest names files inside its folder only")
    return name


class _ManifestEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[Annotated[str, AfterValidator(_inside)], _ManifestEntry]


# What the user's umask gives to new files: safetensors gives its own to nobody else, which breaks a shared folder.
_UMASK = os.umask(0)
os.umask(_UMASK)
_NEW_FILE_MODE = 0o666 & ~_UMASK


def is_local(source: str) -> bool:
    """Whether the name of a model or file is a path here: it begins with `.`, `/` or `~`."""
    return source.startswith((".", "/", "~"))


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a file whole: the body writes to the path it gets, which then takes the place of `path`.

    The temporary name ends like `path`, in the same folder. When the body raises (a full disk, an
    interrupt), the temporary file is deleted and what stood at `path` before stays. The bytes are on the disk
    before the name is, so that a power cut leaves the old file or the new one.

    Raises:
        DataError: `path` is a folder.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder where a file is to be written; move or delete it and run again.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden_name(path, "tmp")
    try:
        yield temporary
        temporary.chmod(_NEW_FILE_MODE)
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Write a folder whole: the body fills the folder it gets, a manifest is added last, then it replaces
    `path`.

    When the body raises, the temporary folder is deleted and what stood at `path` before stays. A kill between
    the two renames leaves both under hidden names, see `clean_left_overs`.

    Raises:
        DataError: `path` exists and is not a finished folder of this project.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, previous = _hidden_name(path, "tmp"), _hidden_name(path, "old")
    temporary.mkdir()
    try:
        yield temporary
        for place in temporary.rglob("*"):
            if place.is_file() and not place.is_symlink():
                place.chmod(_NEW_FILE_MODE)
            _to_disk(place)
        write_manifest(temporary)
        if path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
        _to_disk(path.parent)
    finally:
        if previous.exists() and not path.exists():
            os.replace(previous, path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(previous, ignore_errors=True)


def clean_left_overs(path: Path) -> None:
    """Clear away what killed writers of one file or folder left beside it.

    A folder that is gone, because the kill fell between two renames, is put back: the new one where it is whole,
    else the old one. Call this only while nobody else may write to `path`.
    """
    left = _hidden_beside(path)
    # New ones before old ones: `.tmp-` sorts behind `.old-`.
    for whole in sorted((other for other in left if is_finished(other)), reverse=True):
        if not path.exists():
            os.replace(whole, path)
    for other in left:
        _delete(other)


def clean_work_folder(folder: Path) -> None:
    """Delete what killed writers left at any depth of a folder that only this run works in."""
    for other in [other for other in folder.rglob(".*") if _HIDDEN.fullmatch(other.name)]:
        _delete(other)


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
    try:
        manifest = _read_manifest(folder)
        return all((folder / name).stat().st_size == entry.bytes for name, entry in manifest.files.items())
    except (OSError, ValueError):
        return False


def verify_folder(folder: Path) -> None:
    """Compare every file that a folder's manifest lists with its size and SHA-256.

    Raises:
        DataError: naming the first file that is missing or has other bytes, or the manifest.
    """
    try:
        manifest = _read_manifest(folder)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST} is missing or damaged.") from error
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing; {MANIFEST} lists it.")
        if path.stat().st_size != entry.bytes or file_hash(path) != entry.sha256:
            raise DataError(f"{path} is damaged or was changed: its SHA-256 is not the one in {MANIFEST}.")


def _read_manifest(folder: Path) -> _Manifest:
    """Raises OSError or ValueError; a name that leads out of the folder, by a link too, is a ValueError."""
    manifest = _Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    root = folder.resolve()
    if not all((folder / name).resolve().is_relative_to(root) for name in manifest.files):
        raise ValueError("a link leads out of the folder")
    return manifest


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


def content_hash(path: Path) -> str:
    """SHA-256 of what a file holds, or of the names and contents of all files in a folder.

    A folder with a manifest is hashed by that, which lists the hashes of the others. A file that has neither changed
    its size nor its time of change since this process hashed it is not read again.
    """
    manifest = path / MANIFEST
    if manifest.is_file():
        return content_hash(manifest)
    if not path.is_dir():
        state = path.stat()
        return _hash_of(path, state.st_size, state.st_mtime_ns)
    files = sorted(one for one in path.rglob("*") if one.is_file())
    entries = [(one.relative_to(path).as_posix(), content_hash(one)) for one in files]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


@lru_cache(maxsize=100_000)
def _hash_of(path: Path, size: int, changed_ns: int) -> str:
    return file_hash(path)


def digest_of(*parts: Any) -> str:
    """A short hash of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _hidden_name(path: Path, kind: str) -> Path:
    """A name that no other process has, not even one with the same number in another container."""
    return path.with_name(f".{kind}-{uuid4().hex[:12]}-{path.name}")


def _hidden_beside(path: Path) -> list[Path]:
    """What writers of `path` left."""
    if not path.parent.is_dir():
        return []
    found = ((other, _HIDDEN.fullmatch(other.name)) for other in path.parent.iterdir())
    return [other for other, match in found if match is not None and match["name"] == path.name]


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
