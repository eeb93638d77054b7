"""Which objects the embedded models learn from, and which none of them ever sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from placid_kedro.errors import DataError
from placid_kedro.objects.lists import read_records
from placid_kedro.objects.split import normal_name

# vocabulary: the text-to-image model knows it by name; train: the other networks see it; held_out: drawn for
# measurements, seen by none; withheld: shares its name with one of those, so seen by none either.
Part = Literal["vocabulary", "train", "held_out", "withheld"]

CURATED = Path(__file__).with_name("objects.csv")
_COLUMNS = ("uid", "catalog_id", "name", "part", "adjectives")


@dataclass(frozen=True)
class CuratedObject:
    """One object of the libraries, with what was decided about it by hand or by seed.

    Attributes:
        uid: as in the table of objects.
        catalog_id: the library's own identifier.
        name: as the library calls it.
        part: see `Part`.
        adjectives: colour and material words that are true of it.
    """

    uid: str
    catalog_id: str
    name: str
    part: Part
    adjectives: tuple[str, ...]


@dataclass(frozen=True)
class ObjectSplit:
    """All curated objects, in the order of the libraries.

    Raises:
        DataError: when an object that is trained on shares its name with a held-out one, or none is in the
            vocabulary.
    """

    objects: tuple[CuratedObject, ...]

    def __post_init__(self) -> None:
        unseen = {normal_name(one.name) for one in self.objects if one.part in ("held_out", "withheld")}
        for one in self.trained:
            if normal_name(one.name) in unseen:
                raise DataError(
                    f"The object {one.uid} is trained on, but shares the name {one.name!r} with a held-out one; "
                    "mark it as withheld."
                )
        if not self.vocabulary:
            raise DataError("The list of objects has none in the part 'vocabulary'; mark at least one.")

    @property
    def trained(self) -> tuple[CuratedObject, ...]:
        """The objects that networks are trained on."""
        return tuple(one for one in self.objects if one.part in ("vocabulary", "train"))

    @property
    def vocabulary(self) -> tuple[CuratedObject, ...]:
        """The objects that the text-to-image model knows by name."""
        return tuple(one for one in self.objects if one.part == "vocabulary")

    @property
    def vocabulary_names(self) -> tuple[str, ...]:
        """Their names, each once, in alphabetical order."""
        return tuple(sorted({normal_name(one.name) for one in self.vocabulary}))

    @property
    def held_out(self) -> tuple[CuratedObject, ...]:
        """The objects that were drawn for measurements."""
        return tuple(one for one in self.objects if one.part == "held_out")


def read_split(path: Path = CURATED) -> ObjectSplit:
    """Read a csv with the columns uid, catalog_id, name, part and adjectives (separated by blanks).

    Raises:
        DataError: a column or file is missing, a part is unknown, or an object stands there twice.
    """
    objects: dict[str, CuratedObject] = {}
    for row in read_records(str(path), _COLUMNS):
        uid, part = row["uid"], row["part"]
        if part not in get_args(Part):
            raise DataError(
                f"{path} puts {uid} into the part {part!r}; known are {', '.join(get_args(Part))}."
            )
        if uid in objects:
            raise DataError(f"{path} holds {uid} twice; delete one of the lines.")
        adjectives = tuple(row["adjectives"].split())
        objects[uid] = CuratedObject(uid, row["catalog_id"], row["name"], part, adjectives)  # type: ignore[arg-type]
    return ObjectSplit(tuple(objects.values()))
