"""Prompts by path or URL, and which object belongs to which."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from placid_kedro.errors import DataError
from placid_kedro.files import new_file
from placid_kedro.objects.lists import read_lines, read_records, read_text
from placid_kedro.prompts import slugify_prompt

_NAMES = ("{slug}.ply", "{slug}/gaussians.ply", "{slug}_seed0/gaussians.ply")
_TABLE = ".csv"


@dataclass(frozen=True)
class PromptedObject:
    """A prompt and the file of its object.

    Attributes:
        prompt: as it stands in the set.
        path: of the ply file; None where there is none, which counts as a failed object.
    """

    prompt: str
    path: Path | None


@dataclass(frozen=True)
class PromptSet:
    """Prompts in their order, each once.

    Attributes:
        rows: (prompt, file name given for it or empty).
        sha256: of the source's text.
    """

    rows: tuple[tuple[str, str], ...]
    sha256: str


def read_prompt_set(source: str, cache: Path) -> PromptSet:
    """Read a text file of one prompt a line, or a csv with the columns `prompt` and, if wanted, `file`.

    Blank lines are passed over, line ends of any system accepted; colons and quotes belong to the prompt.

    Args:
        source: path or http(s) URL.
        cache: folder in which what comes by URL is kept; a kept file is not fetched again.

    Raises:
        DataError: it cannot be read, holds no prompt, holds one twice, or is a csv without the column `prompt`.
    """
    local = _local(source, cache)
    text = read_text(local)
    if source.lower().endswith(_TABLE):
        rows = [(row["prompt"], row.get("file", "")) for row in read_records(local, ("prompt",))]
    else:
        rows = [(line, "") for line in read_lines(local)]
    rows = [(prompt, file) for prompt, file in rows if prompt]
    if not rows:
        raise DataError(f"{source} holds no prompt; give one a line.")
    seen: set[str] = set()
    for prompt, _ in rows:
        if prompt in seen:
            raise DataError(f"{source} holds the prompt {prompt[:60]!r} twice; delete one of its lines.")
        seen.add(prompt)
    return PromptSet(tuple(rows), hashlib.sha256(text.encode()).hexdigest())


def find_objects(prompts: PromptSet, folder: Path) -> list[PromptedObject]:
    """The object of each prompt: the file that the set names, else `SLUG.ply` or `SLUG/gaussians.ply`.

    Raises:
        DataError: the folder is not there, or no prompt has an object in it.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; give one of ply files in evaluate.objects.")
    found = [PromptedObject(prompt, _path(prompt, file, folder)) for prompt, file in prompts.rows]
    if all(one.path is None for one in found):
        first = prompts.rows[0][0]
        raise DataError(
            f"{folder} has no object of these prompts; name the files by their prompts "
            f"({slugify_prompt(first)}.ply for {first[:60]!r}), or give a csv with the columns prompt and file."
        )
    return found


def _path(prompt: str, file: str, folder: Path) -> Path | None:
    names = [file] if file else [name.format(slug=slugify_prompt(prompt)) for name in _NAMES]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _local(source: str, cache: Path) -> str:
    """The path of a source, fetched into the cache where it is a URL."""
    if not source.startswith(("http://", "https://")):
        return source
    kept = cache / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.txt"
    if not kept.is_file():
        text = read_text(source)
        with new_file(kept) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return str(kept)
