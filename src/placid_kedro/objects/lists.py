"""Small text and csv files by path or URL: lists of uids, stop words, captions."""

from __future__ import annotations

import csv
import io
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from placid_kedro.errors import DataError

_URL_SECONDS = 30
_MAX_BYTES = 2**30
_SHOWN_CHARACTERS = 200
_FOLDER = re.compile(r"\d{3}-\d{3}")
_OBJECT_PATH = re.compile(r"(\d{3}-\d{3}/)?(?P<uid>[A-Za-z0-9_-]+)(\.glb)?")


def read_text(source: str) -> str:
    """The text at a path or an http(s) URL.

    Raises:
        DataError: it cannot be read, is not UTF-8, or is larger than 1 GiB.
    """
    try:
        if source.startswith(("http://", "https://")):
            # No other scheme comes here.
            with urllib.request.urlopen(source, timeout=_URL_SECONDS) as response:  # nosec B310
                data = response.read(_MAX_BYTES + 1)
        else:
            with Path(source).expanduser().open("rb") as stream:
                data = stream.read(_MAX_BYTES + 1)
    except (OSError, URLError, ValueError, RuntimeError) as error:
        raise DataError(f"The list {source} cannot be read ({error}); check its path or URL.") from error
    if len(data) > _MAX_BYTES:
        raise DataError(f"The list {source} is larger than 1 GiB; cut it down.")
    try:
        return str(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"The list {source} is not text in UTF-8; convert it.") from error


def read_lines(source: str) -> list[str]:
    """The lines of a list that are not empty, without surrounding blanks."""
    return [line.strip() for line in read_text(source).splitlines() if line.strip()]


@dataclass(frozen=True)
class ListedUid:
    """One line of a list of uids.

    Attributes:
        line: its number, from 1 on.
        text: the line.
        uid: what stands in the place of the uid, which may be none; empty for a line with other columns.
    """

    line: int
    text: str
    uid: str


def read_listed_uids(source: str) -> list[ListedUid]:
    """The lines of a list of uids.

    A line is `uid`, `000-xxx,uid` (as LGM's list) or `000-xxx/uid.glb`; a header line `uid` is skipped.
    """
    found = []
    for number, line in enumerate(read_lines(source), start=1):
        *folder, last = [field.strip() for field in line.split(",")]
        path = _OBJECT_PATH.fullmatch(last)
        uid = path["uid"] if path else last
        if number == 1 and uid == "uid":
            continue
        is_known = len(folder) <= 1 and all(map(_FOLDER.fullmatch, folder))
        found.append(ListedUid(number, line, uid if is_known else ""))
    return found


def read_uids(source: str) -> list[str]:
    """The uids of a list (see `read_listed_uids`), each once, in its order.

    Raises:
        DataError: naming the first line with other columns.
    """
    uids: dict[str, None] = {}
    for listed in read_listed_uids(source):
        if not listed.uid:
            raise DataError(
                f"Line {listed.line} of {source} is {listed.text[:60]!r}, but should be `000-xxx,uid` or `uid`."
            )
        uids[listed.uid] = None
    return list(uids)


@dataclass(frozen=True)
class CsvRow:
    """One row of a csv with a header.

    Attributes:
        line: its number, the header's being 1.
        fields: by column; empty where the row is shorter than the header.
        surplus: how many fields more than the header it has.
    """

    line: int
    fields: dict[str, str]
    surplus: int


def read_records(source: str, required: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a csv with a header, by column.

    Args:
        source: path or URL.
        required: columns that it must have.

    Raises:
        DataError: a column is missing, or a row is longer than the header.
    """
    rows = read_rows(source, required)
    for row in rows:
        if row.surplus:
            raise DataError(f"Line {row.line} of {source} has more fields than its header; quote its commas.")
    return [row.fields for row in rows]


def read_rows(source: str, required: tuple[str, ...]) -> list[CsvRow]:
    """The rows of a csv with a header, also those that are longer than it.

    Raises:
        DataError: a column is missing, or it is no csv.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(source)))
        missing = [column for column in required if column not in (reader.fieldnames or [])]
        if missing:
            found = " ".join(", ".join(reader.fieldnames or ["(none)"]).split())[:_SHOWN_CHARACTERS]
            raise DataError(f"{source} has the columns {found}, but no '{missing[0]}'.")
        rows = []
        for row in reader:
            surplus = len(row.pop(None, []))
            fields = {column: (value or "").strip() for column, value in row.items()}
            rows.append(CsvRow(reader.line_num, fields, surplus))
    except csv.Error as error:
        raise DataError(f"{source} is no csv file ({error}).") from error
    return rows


def read_captions(source: str) -> dict[str, str]:
    """Captions by uid from a csv of `uid,caption` lines without header; a comma belongs to the caption.

    Raises:
        DataError: naming the first line without a comma, or it is no csv.
    """
    captions = {}
    try:
        for number, row in enumerate(csv.reader(io.StringIO(read_text(source))), start=1):
            if not row:
                continue
            if len(row) < 2:
                raise DataError(f"Line {number} of {source} is {row[0][:60]!r}, but should be `uid,caption`.")
            captions[row[0].strip()] = ",".join(row[1:]).strip()
    except csv.Error as error:
        raise DataError(f"{source} is no csv file ({error}).") from error
    return captions
