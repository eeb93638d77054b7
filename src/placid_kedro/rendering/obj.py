"""Wavefront OBJ files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.limits import MeshLimits
from placid_kedro.rendering.mtl import MtlMaterial, local_name, read_mtl
from placid_kedro.rendering.mtl_surfaces import MtlSurfaces
from placid_kedro.rendering.polygons import triangulate
from placid_kedro.rendering.side_files import SideFiles
from placid_kedro.rendering.surfaces import Part

# Statements that draw something which is not read; lines and points are no surface and are left out.
_NOT_READ = {
    "surf": "free-form surfaces",
    "curv": "free-form curves",
    "curv2": "free-form curves",
    "usemap": "texture maps apart from materials",
    "call": "other files",
    "csh": "commands",
}
_FREQUENT = ("v", "vt", "vn", "f")


@dataclass
class _Statements:
    """What an OBJ file says, with the corners of its polygons numbered once for each pair of vertex and uv."""

    positions: list[str] = field(default_factory=list)
    uvs: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    polygons: dict[str | None, list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    corners: dict[tuple[int, int], int] = field(default_factory=dict)
    triangles: int = 0
    _by_word: dict[str, int] = field(default_factory=dict)

    def corner(self, word: str) -> int:
        """The number of a corner `v`, `v/vt`, `v//vn` or `v/vt/vn`; negative numbers count back from here."""
        known = self._by_word.get(word)
        if known is not None:
            return known
        fields = word.split("/")
        has_uv = len(fields) > 1 and fields[1] != ""
        pair = (
            _place(int(fields[0]), len(self.positions)),
            _place(int(fields[1]), len(self.uvs)) if has_uv else -1,
        )
        number = self.corners.setdefault(pair, len(self.corners))
        if "-" not in word:
            self._by_word[word] = number
        return number


def _place(number: int, count: int) -> int:
    """A number of the file, from 1 or back from the `count` so far, as an index."""
    index = number - 1 if number > 0 else count + number
    if number == 0 or index < 0:
        raise ValueError(f"there is no element {number}")
    return index


def read_obj(path: Path, files: SideFiles, limits: MeshLimits) -> list[Part]:
    """The parts of an OBJ file, one a material.

    Polygons may be concave. Colours follow Blender's importer where a material has factors beside a texture: the
    texture alone counts.

    Raises:
        RejectedAsset: a texture is missing or unreadable, the file holds something that is drawn and not read, or
            more faces than the limits allow.
        ValueError: a number is none.
    """
    statements = _read_statements(_text(path.read_bytes()), path.name, limits)
    positions, colors = _positions(statements)
    uvs = _rows(statements.uvs)
    uvs = np.concatenate([uvs, np.zeros((len(uvs), 2))], axis=1)[:, :2]
    pairs = np.array(list(statements.corners), np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.max(axis=0) >= (len(positions), len(uvs))).any():
        raise RejectedAsset(Reason.UNREADABLE, f"{path.name} has faces of vertices that it does not have")
    surfaces = MtlSurfaces(_materials(statements, files), files, limits, path.name)
    parts = []
    for name, polygons in statements.polygons.items():
        faces = _triangles(positions[pairs[:, 0]], polygons)
        has_uv = (pairs[faces, 1] >= 0).all(axis=1)
        for group, is_placed in ((faces[has_uv], True), (faces[~has_uv], False)):
            if len(group):
                used, corners = np.unique(group, return_inverse=True)
                vertex, uv = pairs[used].T
                surface = surfaces.surface(
                    name,
                    uvs[uv] if is_placed else None,
                    None if colors is None else colors[vertex],
                    len(used),
                )
                parts.append(Part(positions[vertex], corners.reshape(-1, 3), surface))
    return parts


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_statements(text: str, asset: str, limits: MeshLimits) -> _Statements:
    found = _Statements()
    material: str | None = None
    for line in text.replace("\\\n", " ").split("\n"):
        keyword = line.partition(" ")[0]
        if keyword not in _FREQUENT:  # of tabs and leading blanks, too
            line = line.strip().replace("\t", " ")
            keyword = line.split(" ", 1)[0]
        if keyword == "v":
            found.positions.append(line)
        elif keyword == "vt":
            found.uvs.append(line)
        elif keyword == "f":
            words = line.partition("#")[0].split()
            _add_polygon(found, material, words[1:], asset, limits)
        elif keyword == "usemtl":
            material = " ".join(line.split()[1:])
        elif keyword == "mtllib":
            found.libraries.append(line[len("mtllib") :].strip())
        elif keyword in _NOT_READ:
            raise RejectedAsset(
                Reason.UNKNOWN_FORMAT,
                f"{asset} holds {_NOT_READ[keyword]} ({keyword}), which are not read: save it as polygons",
            )
    return found


def _add_polygon(
    found: _Statements, material: str | None, words: list[str], asset: str, limits: MeshLimits
) -> None:
    corners = [found.corner(word) for word in words]
    if len(corners) < 3:
        return
    found.triangles += len(corners) - 2
    if found.triangles > limits.max_faces:
        raise RejectedAsset(
            Reason.TOO_MANY_FACES, f"{asset} has more faces than the {limits.max_faces} allowed"
        )
    found.polygons[material].append(corners)


def _positions(found: _Statements) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Coordinates [V, 3], and sRGB colours [V, 3] in [0, 1] where every vertex has them."""
    rows = _rows(found.positions)
    if len(rows) and rows.shape[1] < 3:
        raise ValueError("a vertex has fewer than three coordinates")
    if not len(rows) or rows.shape[1] < 6:
        return rows[:, :3].reshape(-1, 3), None
    # x y z r g b, or x y z w r g b
    colors = rows[:, 4:7] if rows.shape[1] == 7 else rows[:, 3:6]
    return rows[:, :3], colors / 255.0 if colors.max() > 1 else colors


def _rows(lines: list[str]) -> NDArray[np.float64]:
    """The numbers after the keywords of statements [N, K]; K is that of the shortest."""
    if not lines:
        return np.zeros((0, 0))
    words = " ".join(lines).split()
    width = len(words) // len(lines)
    if width * len(lines) == len(words) and words[::width] == [words[0]] * len(lines):
        del words[::width]
        return np.array(list(map(float, words))).reshape(len(lines), width - 1)
    # Statements of unequal lengths, or with comments.
    rows = [list(map(float, line.partition("#")[0].split()[1:])) for line in lines]
    shortest = min(map(len, rows))
    return np.array([row[:shortest] for row in rows]).reshape(len(rows), shortest)


def _triangles(points: NDArray[np.float64], polygons: list[list[int]]) -> NDArray[np.int64]:
    by_length: dict[int, list[list[int]]] = defaultdict(list)
    for polygon in polygons:
        by_length[len(polygon)].append(polygon)
    return np.concatenate(
        [triangulate(points, np.array(alike, np.int64)) for _, alike in sorted(by_length.items())]
    )


def _materials(found: _Statements, files: SideFiles) -> dict[str, MtlMaterial]:
    """The materials of all libraries that are there."""
    materials: dict[str, MtlMaterial] = {}
    for line in found.libraries:
        whole = line.replace("\\", "/")
        # A name may hold blanks; a statement may hold several names.
        names = [local_name(name) for name in [whole, *whole.split()]]
        for name in dict.fromkeys(names[:1] if files.find(names[0]) else names[1:]):
            if files.find(name):
                materials |= read_mtl(_text(files.read(name)), files)
    return materials
