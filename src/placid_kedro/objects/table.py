"""The table of objects: one row for each, from the library to the training set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import pandas as pd

from placid_kedro.errors import DataError
from placid_kedro.files import file_hash
from placid_kedro.foreign import reading
from placid_kedro.rejections import Reason

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,119}")


@dataclass(frozen=True)
class ObjectRecord:
    """One object of a library.

    Attributes:
        uid: unique within a table; letters, digits, `_` and `-`, so that files can be named after it.
        source: `objaverse`, `sweethome3d` or `folder`.
        path: of the mesh file; empty when there is none.
        name: as the library calls it.
        caption: a description, or the best there is; may be empty.
        licence: as the library states it; empty when unknown.
        attribution: whom the licence wants named.
        category: LVIS's or the library's.
        sha256: of the mesh file.
        bytes: of the mesh file.
        reason: why the object is rejected, see `placid_kedro.rejections.Reason`; empty when it is not.
        detail: the same as a sentence.
    """

    uid: str
    source: str
    path: str = ""
    name: str = ""
    caption: str = ""
    licence: str = ""
    attribution: str = ""
    category: str = ""
    sha256: str = ""
    bytes: int = 0
    reason: str = ""
    detail: str = ""


def with_file(record: ObjectRecord, path: Path) -> ObjectRecord:
    """The record with path, hash and size of its file; rejected when the file cannot be read."""
    try:
        return replace(record, path=str(path), sha256=file_hash(path), bytes=path.stat().st_size)
    except OSError as error:
        detail = f"{path.name} cannot be read: {error.strerror}"
        return replace(record, reason=Reason.UNREADABLE.value, detail=detail)


COLUMNS = tuple(field.name for field in fields(ObjectRecord))


def is_uid(text: str) -> bool:
    """Whether a text can name an object and its files."""
    return _UID.fullmatch(text) is not None


def to_table(records: Iterable[ObjectRecord]) -> pd.DataFrame:
    """The records as a table; bad and repeated uids are marked as rejected.

    The first object with a uid keeps it; the others stay in the table with the reason.
    """
    rows = [asdict(record) for record in records]
    seen: set[str] = set()
    for row in rows:
        if row["reason"]:
            continue
        if not is_uid(row["uid"]):
            row["reason"] = Reason.BAD_UID.value
            row["detail"] = f"{row['uid'][:80]!r} is no uid: letters, digits, '_' and '-' only"
        elif row["uid"] in seen:
            row["reason"] = Reason.DUPLICATE_UID.value
            row["detail"] = f"another object before it is called {row['uid']}"
        seen.add(row["uid"])
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(
        dict.fromkeys(COLUMNS, "object") | {"bytes": "int64"}
    )


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of objects from a Parquet file.

    Raises:
        DataError: the file is no such table.
    """
    with reading(path, "a table of objects", "run the stage that writes it again"):
        table = pd.read_parquet(path)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise DataError(f"{path} lacks the column '{missing[0]}'; run the stage that writes it again.")
    return table


def accepted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows without a reason against them."""
    return table[table["reason"] == ""]


def reject(table: pd.DataFrame, reasons: dict[str, tuple[Reason, str]]) -> pd.DataFrame:
    """A copy in which accepted objects are rejected.

    Args:
        table: of objects.
        reasons: reason and sentence by uid.
    """
    result = table.copy()
    rows = (table["reason"] == "") & table["uid"].isin(list(reasons))
    found = [reasons[uid] for uid in table.loc[rows, "uid"]]
    result.loc[rows, "reason"] = [reason.value for reason, _ in found]
    result.loc[rows, "detail"] = [detail for _, detail in found]
    return result


def count_by_reason(table: pd.DataFrame) -> dict[str, int]:
    """Rows by reason, most frequent first; accepted ones under `accepted`."""
    counts = table["reason"].replace("", "accepted").value_counts()
    return {str(reason): int(count) for reason, count in counts.items()}


def describe_counts(table: pd.DataFrame) -> str:
    """What became of the objects, in one line."""
    counts = count_by_reason(table)
    kept = counts.pop("accepted", 0)
    rejected = ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"
    return f"{kept} of {len(table)} objects are accepted; rejected: {rejected}"
