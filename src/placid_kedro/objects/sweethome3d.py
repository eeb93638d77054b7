"""The furniture libraries of Sweet Home 3D: `.sh3f` archives with a catalog and OBJ models."""

from __future__ import annotations

import logging
import math
import re
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from placid_kedro.errors import DataError
from placid_kedro.foreign import check_members, reading
from placid_kedro.objects.archives import extract_folder, open_archive
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.glb import write_glb
from placid_kedro.objects.table import ObjectRecord
from placid_kedro.rejections import Reason
from placid_kedro.rendering import MeshLimits, load_parts
from placid_kedro.rendering.mtl import find_texture
from placid_kedro.rendering.side_files import SideFiles

logger = logging.getLogger(__name__)

_CATALOG = "PluginFurnitureCatalog.properties"
_ENTRY = re.compile(r"^(\w+)#(\d{1,9})=(.*)$", re.MULTILINE | re.ASCII)
_HEADER = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)
# A statement of a material file that names an image.
_TEXTURE = re.compile(rb"^[ \t]*map_\w+[ \t]+([^\r\n]*)", re.M | re.I)
_MAX_CATALOG_BYTES = 2**24
_MAX_MODEL_BYTES = 2**28


@dataclass(frozen=True)
class FurnitureModel:
    """One model inside a library.

    Attributes:
        record: its row, without path, hash and size: these come with the conversion to GLB.
        library: the `.sh3f` file.
        member: its OBJ file inside the library.
        rotation: 9 numbers, a 3 x 3 matrix by rows that turns it upright with the front to +z (y up).
    """

    record: ObjectRecord
    library: Path
    member: str
    rotation: tuple[float, ...] | None


def list_furniture(source: SweetHome3dSource) -> list[FurnitureModel]:
    """The models of the chosen libraries, in the order of file names and catalogs.

    Raises:
        DataError: the folder or a chosen library is missing, a chosen library cannot be read, or none can. One that
            was not chosen by name and cannot be read is left out with a warning.
    """
    folder = Path(source.folder).expanduser()
    libraries = sorted(folder.glob("*.sh3f"))
    if not libraries:
        raise DataError(
            f"{folder} holds no .sh3f library; install the Debian package sweethome3d-furniture, or give "
            "another folder with --params objaverse_ingest.sweethome3d.folder=FOLDER"
        )
    unknown = sorted(set(source.libraries) - {library.stem for library in libraries})
    if unknown:
        raise DataError(
            f"{folder} has no library {unknown[0]}.sh3f; there are {', '.join(p.stem for p in libraries)}."
        )
    models: list[FurnitureModel] = []
    failed: list[DataError] = []
    chosen = [library for library in libraries if not source.libraries or library.stem in source.libraries]
    for library in chosen:
        try:
            models += _models(library)
        except DataError as error:
            if source.libraries:
                raise
            failed.append(error)
            logger.warning("%s It is left out.", error)
    if len(failed) == len(chosen):
        raise failed[0]
    return models[: source.count or None]


def read_properties(text: bytes) -> str:
    """Java's `.properties`: Latin-1 with `\\uXXXX` escapes."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text.decode("latin1"))


def _models(library: Path) -> Iterator[FurnitureModel]:
    with (
        open_archive(library) as archive,
        reading(library, f"a library with a {_CATALOG}", "get it again", max_bytes=library.stat().st_size),
    ):
        info = archive.getinfo(_CATALOG)
        check_members(archive, [info], _MAX_CATALOG_BYTES)
        text = read_properties(archive.read(info))
    header = dict(_HEADER.findall(text))
    entries: dict[int, dict[str, str]] = defaultdict(dict)
    for key, number, value in _ENTRY.findall(text):
        entries[int(number)][key] = value.strip()
    for number, entry in sorted(entries.items()):
        if "model" not in entry:
            continue
        member = entry["model"].lstrip("/")
        # The catalog's id has spaces and '#'; the model's own name is unique within its library.
        uid = _slug(f"{library.stem}-{PurePosixPath(member).stem}")
        name = entry.get("name", uid)
        record = ObjectRecord(
            uid=uid,
            source="sweethome3d",
            name=name,
            caption=name.lower(),
            licence=" ".join(header.get("license", "").split()),
            attribution=entry.get("creator", ""),
            category=entry.get("category", ""),
        )
        try:
            rotation = _rotation(entry.get("modelRotation"))
        except ValueError as error:
            detail = f"the rotation of model {number} in {library.name} {error}"
            record = replace(record, reason=Reason.UNREADABLE.value, detail=detail)
            rotation = None
        yield FurnitureModel(record, library, member, rotation)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def _rotation(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(value) for value in text.split())
    except ValueError as error:
        raise ValueError(f"is not a matrix: {text[:60]!r}") from error
    if len(values) != 9:
        raise ValueError(f"has {len(values)} numbers, not 9")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"is not finite: {text[:60]!r}")
    return values


@lru_cache(maxsize=1)
def _library(path: Path, changed_ns: int) -> zipfile.ZipFile:
    """A library that stays open until it changes: its long directory takes longer to read than a model."""
    return open_archive(path)


def _without_lost_images(materials: bytes, files: SideFiles) -> bytes:
    """A material file without the statements whose image is not there."""

    def kept(statement: re.Match[bytes]) -> bytes:
        return statement[0] if find_texture(statement[1].decode("latin-1"), files) else b""

    return _TEXTURE.sub(kept, materials)


def convert_model(library: Path, member: str, rotation: tuple[float, ...] | None, target: Path) -> None:
    """Write one model of a library as a GLB file, upright and with its front to +z.

    Images that a library names but does not bring are left out, as Sweet Home 3D does.

    Raises:
        RejectedAsset: the model cannot be read.
    """
    inside = PurePosixPath(member)
    with tempfile.TemporaryDirectory() as scratch:
        extract_folder(
            _library(library, library.stat().st_mtime_ns),
            inside.parent.as_posix(),
            Path(scratch),
            _MAX_MODEL_BYTES,
        )
        files = SideFiles(Path(scratch) / inside.name, _MAX_MODEL_BYTES)
        for materials in Path(scratch).rglob("*.mtl"):
            materials.write_bytes(_without_lost_images(materials.read_bytes(), files))
        parts = load_parts(Path(scratch) / inside.name, MeshLimits())
        matrix = None if rotation is None else np.asarray(rotation, np.float64).reshape(3, 3)
        write_glb(parts, target, matrix)
