"""Objaverse through the `objaverse` package and its cache; without network as far as the cache goes."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError

from placid_kedro.errors import DataError
from placid_kedro.objects.config import ObjaverseSource
from placid_kedro.objects.lists import read_captions, read_listed_uids
from placid_kedro.objects.table import ObjectRecord, is_uid, with_file
from placid_kedro.progress import SILENT, Progress
from placid_kedro.rejections import Reason

_LAYOUT = "hf-objaverse-v1"
_BATCH_PER_PROCESS = 8
_ATTEMPTS = 3
_LICENCES = {
    "by": "CC BY 4.0",
    "by-nc": "CC BY-NC 4.0",
    "by-nc-sa": "CC BY-NC-SA 4.0",
    "by-sa": "CC BY-SA 4.0",
    "cc0": "CC0 1.0",
}


class ObjaverseCache:
    """A folder that holds `hf-objaverse-v1`.

    Args:
        folder: the cache.
        download: whether what it lacks may be fetched.
    """

    def __init__(self, folder: str, download: bool) -> None:
        self._root = Path(folder).expanduser().absolute() / _LAYOUT
        self._download = download
        if not download and not self._root.is_dir():
            raise DataError(
                f"{self._root} does not exist; give the folder of an Objaverse cache with --params "
                "objaverse_ingest.objaverse.cache=FOLDER, or let it be filled with "
                "objaverse_ingest.objaverse.download=true."
            )

    def object_paths(self) -> dict[str, str]:
        """Path below `hf-objaverse-v1` by uid; without its index, of the files that are there."""
        if self._download or (self._root / "object-paths.json.gz").is_file():
            paths: dict[str, str] = self._ask("object-paths.json.gz", "_load_object_paths")
            return {uid: path for uid, path in paths.items() if self._is_inside(path)}
        files = sorted(self._root.glob("glbs/*/*.glb"))
        return {file.stem: file.relative_to(self._root).as_posix() for file in files}

    def categories(self) -> dict[str, list[str]]:
        """Uids by LVIS category; empty when the cache has no annotations and may not fetch them."""
        if not self._download and not (self._root / "lvis-annotations.json.gz").is_file():
            return {}
        return dict(self._ask("lvis-annotations.json.gz", "load_lvis_annotations"))

    def annotations(self, uids: list[str], paths: dict[str, str]) -> dict[str, Any]:
        """Objaverse's own annotation by uid, of those whose part of the metadata can be had."""
        known = [
            uid for uid in uids if uid in paths and (self._download or self._metadata(paths[uid]).is_file())
        ]
        if not known:
            return {}
        if not (self._root / "object-paths.json.gz").is_file() and not self._download:
            return self._read_metadata(known, paths)
        return dict(self._ask("metadata", "load_annotations", known))

    def file(self, path: str) -> Path:
        """Where an object lies, or would lie."""
        return self._root / path

    def fetch(self, uids: list[str], processes: int, progress: Progress) -> None:
        """Download objects; what is there is not fetched again, what fails is tried three times.

        A download that breaks off leaves no object behind: the next run fetches it.
        """
        batch = processes * _BATCH_PER_PROCESS
        for start in progress.track(range(0, len(uids), batch), description="download"):
            part = uids[start : start + batch]
            for attempt in range(_ATTEMPTS):
                try:
                    with contextlib.redirect_stdout(io.StringIO()):  # it prints a line an object
                        self._package().load_objects(part, download_processes=processes)
                    break
                except (OSError, URLError):
                    time.sleep(2**attempt)  # those that are still missing are rejected by the caller

    def _is_inside(self, path: str) -> bool:
        return (self._root / path).resolve().is_relative_to(self._root.resolve())

    def _metadata(self, path: str) -> Path:
        return self._root / "metadata" / f"{Path(path).parent.name}.json.gz"

    def _read_metadata(self, uids: list[str], paths: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for file in sorted({self._metadata(paths[uid]) for uid in uids}):
            with gzip.open(file, "rb") as stream:
                part = json.load(stream)
            found |= {uid: part[uid] for uid in uids if uid in part}
        return found

    def _ask(self, what: str, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._package(), function)(*arguments)
        except (OSError, URLError, ValueError, KeyError, EOFError) as error:
            raise DataError(
                f"{what} of Objaverse is neither readable in {self._root} nor can it be fetched ({error!r})."
            ) from error

    def _package(self) -> Any:
        """The `objaverse` package, which knows its cache by a module's variable only."""
        import objaverse

        objaverse._VERSIONED_PATH = str(self._root)
        return objaverse


def list_objaverse(source: ObjaverseSource, seed: int, progress: Progress = SILENT) -> list[ObjectRecord]:
    """The chosen objects of Objaverse; those that cannot be had are rejected rows.

    Raises:
        DataError: the cache, a list or a category does not exist.
    """
    cache = ObjaverseCache(source.cache, source.download)
    paths = cache.object_paths()
    categories = cache.categories()
    uids = _selected(source, cache, paths, categories, seed)
    if source.download:
        missing = [uid for uid in uids if uid in paths and not cache.file(paths[uid]).is_file()]
        cache.fetch(missing, source.processes, progress)
    annotations = cache.annotations(uids, paths)
    captions = read_captions(source.captions) if source.captions else {}
    category_of = {uid: name for name, members in sorted(categories.items(), reverse=True) for uid in members}
    return [
        _record(uid, paths.get(uid), cache, annotations.get(uid, {}), captions, category_of.get(uid, ""))
        for uid in uids
    ]


def _selected(
    source: ObjaverseSource,
    cache: ObjaverseCache,
    paths: dict[str, str],
    categories: dict[str, list[str]],
    seed: int,
) -> list[str]:
    if source.select == "cached":
        uids = [uid for uid in sorted(paths) if cache.file(paths[uid]).is_file()]
    elif source.select == "lvis":
        unknown = sorted(set(source.categories) - set(categories))
        if unknown or not categories:
            raise DataError(
                f"The LVIS annotation of {source.cache} has no category {unknown[0]!r}."
                if categories
                else f"{source.cache} has no LVIS annotation; allow its download or choose objects otherwise."
            )
        chosen = source.categories or tuple(sorted(categories))
        uids = list(dict.fromkeys(uid for name in chosen for uid in categories[name]))
    elif source.select == "list":
        if not source.list:
            raise DataError("objaverse_ingest.objaverse.select is 'list', but its 'list' names no file.")
        uids = _listed(source.list)
    else:
        uids = sorted(paths)
        random.Random(seed).shuffle(uids)
    return uids[: source.count or None]


def _listed(source: str) -> list[str]:
    """The uids of a list; a line with other columns stands for itself, which is no uid: its row is rejected.

    Raises:
        DataError: no line is one of a list of uids.
    """
    lines = read_listed_uids(source)
    if not any(line.uid for line in lines):
        first = f"its first line is {lines[0].text[:60]!r}" if lines else "it is empty"
        raise DataError(f"{source} is no list of `000-xxx,uid` or `uid` lines: {first}.")
    return list(dict.fromkeys(line.uid or line.text for line in lines))


def _record(
    uid: str,
    path: str | None,
    cache: ObjaverseCache,
    annotation: dict[str, Any],
    captions: dict[str, str],
    category: str,
) -> ObjectRecord:
    name = str(annotation.get("name") or "").strip()
    user = annotation.get("user") or {}
    licence = str(annotation.get("license") or "")
    described: dict[str, Any] = {
        "uid": uid,
        "source": "objaverse",
        "name": name,
        "caption": captions.get(uid) or name or category.replace("_", " "),
        "licence": _LICENCES.get(licence, licence),
        "attribution": str(user.get("displayName") or user.get("username") or ""),
        "category": category,
    }
    if not is_uid(uid):
        return ObjectRecord(**described)
    if path is None:
        detail = f"Objaverse, as this cache knows it, has no object {uid}"
        return ObjectRecord(**described, reason=Reason.NOT_IN_LIBRARY.value, detail=detail)
    file = cache.file(path)
    if not file.is_file():
        detail = f"{file.name} is not in the cache and was not downloaded"
        return ObjectRecord(**described, reason=Reason.NOT_DOWNLOADED.value, detail=detail)
    return with_file(ObjectRecord(**described), file)
