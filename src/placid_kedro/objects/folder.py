"""Mesh files in a folder, with an optional csv of captions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from placid_kedro.errors import DataError
from placid_kedro.objects.config import FolderSource
from placid_kedro.objects.lists import read_rows
from placid_kedro.objects.table import ObjectRecord, with_file
from placid_kedro.rejections import Reason
from placid_kedro.rendering import FORMATS


def list_folder(source: FolderSource) -> list[ObjectRecord]:
    """The mesh files of a folder, in the order of their paths, or the rows of its csv.

    Without a csv an object's uid is its path with `-` for what is no letter or digit, and its caption is the
    file's name in words. With a csv its rows decide; a row whose file is not there, or that has more fields than
    the header, is a rejected row.

    Raises:
        DataError: the folder does not exist or holds no mesh, or the csv lacks a column.
    """
    folder = Path(source.folder).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(f"The folder {folder} does not exist; give one with objaverse_ingest.folder.folder.")
    if source.captions:
        records = _from_csv(folder, source)
    else:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS)
        if not files:
            raise DataError(f"The folder {folder} holds no GLB, GLTF or OBJ file.")
        records = [_record(folder, file, {}, source.licence) for file in files]
    return records[: source.count or None]


def _from_csv(folder: Path, source: FolderSource) -> list[ObjectRecord]:
    rows = read_rows(source.captions, ("caption",))
    if rows and not {"file", "uid"} & set(rows[0].fields):
        raise DataError(f"{source.captions} has neither a column 'file' nor a column 'uid'.")
    by_uid = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in FORMATS}
    records = []
    for row in rows:
        name, uid = row.fields.get("file", ""), row.fields.get("uid", "")
        if row.surplus:
            detail = f"line {row.line} of its csv has more fields than the header: quote its commas"
            records.append(_rejected(uid or name, Reason.BAD_ROW, detail))
        elif not name and not uid:
            detail = f"line {row.line} of its csv names neither a file nor a uid"
            records.append(_rejected("", Reason.BAD_ROW, detail))
        else:
            file = folder / name if name else by_uid.get(uid, folder / "none")
            records.append(_record(folder, file, row.fields, source.licence))
    return records


def _rejected(uid: str, reason: Reason, detail: str) -> ObjectRecord:
    return ObjectRecord(uid, "folder", reason=reason.value, detail=detail)


def _record(folder: Path, file: Path, row: dict[str, str], licence: str) -> ObjectRecord:
    words = re.sub(r"[\W_]+", " ", file.stem).strip()
    name = row.get("name") or words
    described: dict[str, Any] = {
        "uid": row.get("uid") or _uid(folder, file),
        "source": "folder",
        "name": name,
        "caption": row.get("caption") or name,
        "licence": row.get("licence") or licence,
        "attribution": row.get("attribution", ""),
        "category": row.get("category", ""),
    }
    if not file.resolve().is_relative_to(folder.resolve()):
        detail = f"{row.get('file') or file.name!r} lies outside the folder"
        return ObjectRecord(**described, reason=Reason.PATH_OUTSIDE.value, detail=detail)
    if not file.is_file():
        detail = f"{row.get('file') or row.get('uid')!r} is not in the folder"
        return ObjectRecord(**described, reason=Reason.MISSING_FILE.value, detail=detail)
    return with_file(ObjectRecord(**described), file)


def _uid(folder: Path, file: Path) -> str:
    try:
        inside = file.relative_to(folder).with_suffix("")
    except ValueError:
        return file.stem
    return re.sub(r"[^A-Za-z0-9_]+", "-", inside.as_posix()).strip("-")
