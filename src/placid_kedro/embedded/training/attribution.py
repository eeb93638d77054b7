"""Whose objects the embedded models learned from, and under which licences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HEAD = """\
# Attribution

The embedded models were trained on images rendered from the {count} 3D objects below. Most of these objects are under
Creative Commons Attribution (CC-BY) licences, which ask that their authors be named wherever the objects or works
adapted from them are shared: **keep this file with the weights.** The objects were scaled to a common size and
rendered from several sides; the weights contain no meshes or textures.

Objects that are not listed were held out: no network has seen them.
"""
_LINKS = {
    "Attribution 3.0 United States": "https://creativecommons.org/licenses/by/3.0/us/",
    "Attribution 3.0": "https://creativecommons.org/licenses/by/3.0/",
    "Public domain": "https://creativecommons.org/publicdomain/zero/1.0/",
}


@dataclass(frozen=True)
class Credit:
    """One object to be named.

    Attributes:
        catalog_id: the library's identifier of it.
        name: of the object.
        creator: empty when the library names none.
        library: that the object is from.
        licence: as the library states it.
    """

    catalog_id: str
    name: str
    creator: str
    library: str
    licence: str


def attribution_text(credits: Sequence[Credit]) -> str:
    """The attribution file (Markdown): a table for each library, with its licence above."""
    parts = [_HEAD.format(count=len(credits))]
    groups: dict[tuple[str, str], list[Credit]] = {}
    for credit in credits:
        groups.setdefault((credit.library, credit.licence), []).append(credit)
    for (library, licence), members in sorted(groups.items()):
        parts.append(f"## {library}\n\nLicence: {_linked(licence)}\n")
        parts.append(_table(members))
    return "\n".join(parts)


def _linked(licence: str) -> str:
    link = next((url for words, url in _LINKS.items() if words in licence), None)
    stated = licence or "not stated"
    return f"{stated} (<{link}>)" if link else stated


def _table(credits: Sequence[Credit]) -> str:
    lines = ["| object | creator | catalogue id |", "|---|---|---|"]
    for credit in sorted(credits, key=lambda one: (one.name.lower(), one.catalog_id)):
        cells = (credit.name, credit.creator or "not named", f"`{credit.catalog_id}`")
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"
