"""Mesh files in a folder, with an optional csv of captions."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any

from placid_kedro.errors import DataError
from placid_kedro.objects.config import FolderSource
from placid_kedro.objects.lists import read_rows
from placid_kedro.objects.table import ObjectRecord, is_uid, with_file
from placid_kedro.rejections import Reason
from placid_kedro.rendering import FORMATS

# Of a uid that is too long or another file's: what stays of its letters, and the digits of its hash.
_READABLE, _HASH_DIGITS = 100, 12


def list_folder(source: FolderSource) -> list[ObjectRecord]:
    """The mesh files of a folder, in the order of their paths, or the rows of its csv.

    Without a csv an object's uid is its path in Latin letters with `-` for what is no letter or digit, with a hash of
    the path where that is too long or another file's, and its caption is the file's name in words. With a csv its
    rows decide; a row whose file is not there, or that has more fields than the header, is a rejected row.

    Raises:
        DataError: the folder does not exist or holds no mesh, or the csv lacks a column.
    """
    folder = Path(source.folder).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(f"The folder {folder} does not exist; give one with objaverse_ingest.folder.folder.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS)
    uids = _uids(folder, files)
    if source.captions:
        records = _from_csv(folder, source, uids)
    else:
        if not files:
            raise DataError(f"The folder {folder} holds no GLB, GLTF or OBJ file.")
        records = [_record(folder, file, {}, source.licence, uids[file]) for file in files]
    return records[: source.count or None]


def _from_csv(folder: Path, source: FolderSource, uids: dict[Path, str]) -> list[ObjectRecord]:
    rows = read_rows(source.captions, ("caption",))
    if rows and not {"file", "uid"} & set(rows[0].fields):
        raise DataError(f"{source.captions} has neither a column 'file' nor a column 'uid'.")
    called: dict[str, list[Path]] = defaultdict(list)
    for file, uid in uids.items():
        for name in {uid, file.stem}:
            called[name].append(file)
    records = []
    for row in rows:
        name, uid = row.fields.get("file", ""), row.fields.get("uid", "")
        if row.surplus:
            detail = f"line {row.line} of its csv has more fields than the header: quote its commas"
            records.append(_rejected(uid or name, Reason.BAD_ROW, detail))
        elif not name and not uid:
            detail = f"line {row.line} of its csv names neither a file nor a uid"
            records.append(_rejected("", Reason.BAD_ROW, detail))
        elif not name and len(called[uid]) > 1:
            detail = f"{len(called[uid])} files are called {uid!r}; name one in a column 'file'"
            records.append(_rejected(uid, Reason.BAD_ROW, detail))
        else:
            file = folder / name if name else next(iter(called[uid]), folder / "none")
            known = uids.get(file) or _latin(Path(name).stem)
            records.append(_record(folder, file, row.fields, source.licence, known))
    return records


def _rejected(uid: str, reason: Reason, detail: str) -> ObjectRecord:
    return ObjectRecord(uid, "folder", reason=reason.value, detail=detail)


def _record(folder: Path, file: Path, row: dict[str, str], licence: str, uid: str) -> ObjectRecord:
    stem, is_text = _text(file.stem)
    name = row.get("name") or _words(stem)
    described: dict[str, Any] = {
        "uid": row.get("uid") or uid,
        "source": "folder",
        "name": name,
        "caption": row.get("caption") or name,
        "licence": row.get("licence") or licence,
        "attribution": row.get("attribution", ""),
        "category": row.get("category", ""),
    }
    if not is_text:
        detail = f"the name of {stem!r} is no UTF-8; rename it"
        return ObjectRecord(**described, reason=Reason.UNREADABLE.value, detail=detail)
    if not file.resolve().is_relative_to(folder.resolve()):
        detail = f"{row.get('file') or file.name!r} lies outside the folder"
        return ObjectRecord(**described, reason=Reason.PATH_OUTSIDE.value, detail=detail)
    if not file.is_file():
        detail = f"{row.get('file') or row.get('uid')!r} is not in the folder"
        return ObjectRecord(**described, reason=Reason.MISSING_FILE.value, detail=detail)
    return with_file(ObjectRecord(**described), file)


def _words(text: str) -> str:
    """Letters with their marks, and digits, with single blanks between."""
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split())


def _text(name: str) -> tuple[str, bool]:
    """A file's name as text that can be written, and whether it was text: a disk's names are any bytes."""
    shown = name.encode(errors="surrogateescape").decode(errors="replace")
    return shown, shown == name


def _uids(folder: Path, files: list[Path]) -> dict[Path, str]:
    """A uid of its own for each file; of files with equal ones the first keeps it."""
    uids: dict[Path, str] = {}
    taken: set[str] = set()
    for file in files:
        inside = file.relative_to(folder).as_posix()
        uid = _latin(file.relative_to(folder).with_suffix("").as_posix())
        # Files are named after uids, also where names that differ in case are one.
        if not is_uid(uid) or uid.casefold() in taken:
            digest = hashlib.sha256(unicodedata.normalize("NFC", inside).encode(errors="surrogateescape"))
            uid = f"{uid[:_READABLE] or 'object'}-{digest.hexdigest()[:_HASH_DIGITS]}"
        taken.add(uid.casefold())
        uids[file] = uid
    return uids


def _latin(text: str) -> str:
    """Latin letters, digits and `_` as they are or as they sound; `-` for all else."""
    from slugify import slugify

    plain = re.sub(
        r"[^\x00-\x7f]+",
        lambda run: slugify(run[0], lowercase=False),
        unicodedata.normalize("NFC", text),
    )
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-").lstrip("_-")
