"""Material files of OBJ meshes (MTL), read as Blender's importer reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering.side_files import SideFiles

# Options of `map_` statements and how many values each takes at most.
_OPTIONS = {
    "-blendu": 1, "-blendv": 1, "-boost": 1, "-bm": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1,
    "-mm": 2, "-o": 3, "-s": 3, "-t": 3, "-texres": 1, "-type": 1,
}  # fmt: skip
_NUMBERS = {"-mm", "-o", "-s", "-t"}
_CHANNELS = ("r", "g", "b", "m", "l")
_ABSOLUTE = re.compile(r"(/|[A-Za-z]:)")


@dataclass(frozen=True)
class TextureStatement:
    """What a `map_` statement says.

    Attributes:
        name: of the image file, as written, with `/` between folders.
        scale: factors of u and v.
        offset: added to u and v after that.
        clamp: whether the image does not repeat.
        channel: of the image that a number is taken from: `r`, `g`, `b`, `m` (alpha), `l` (luminance), or empty.
    """

    name: str
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    clamp: bool = False
    channel: str = ""

    @property
    def placement(self) -> tuple[tuple[float, float], tuple[float, float], bool]:
        """Where the image lies: two statements of the same placement share texture coordinates."""
        return self.scale, self.offset, self.clamp


@dataclass(frozen=True)
class MtlMaterial:
    """A material.

    Attributes:
        diffuse: `Kd`, sRGB as shown on a screen, or None.
        emission: `Ke`, likewise.
        opacity: `d`, or 1 - `Tr`.
        diffuse_map, emission_map, opacity_map: `map_Kd`, `map_Ke`, `map_d`.
    """

    diffuse: tuple[float, float, float] | None = None
    emission: tuple[float, float, float] | None = None
    opacity: float = 1.0
    diffuse_map: TextureStatement | None = None
    emission_map: TextureStatement | None = None
    opacity_map: TextureStatement | None = None


def read_mtl(text: str, files: SideFiles) -> dict[str, MtlMaterial]:
    """The materials of a file by name.

    Args:
        text: the file.
        files: those beside the mesh; what is there decides where options end and a name begins.

    Raises:
        RejectedAsset: a statement says something of the surface's colour that is not understood.
        ValueError: a number is none.
    """
    statements: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.replace("\r", "\n").split("\n"):
        keyword, _, rest = line.strip().replace("\t", " ", 1).partition(" ")
        rest = rest.strip()
        if keyword.lower() == "newmtl":
            current = statements[" ".join(rest.split())] = {}
        elif rest and not keyword.startswith("#"):
            current[keyword.lower()] = rest
    return {name: _material(name, found, files) for name, found in statements.items()}


def _material(name: str, found: dict[str, str], files: SideFiles) -> MtlMaterial:
    opacity = 1.0
    if "d" in found:
        opacity = float(found["d"].split()[-1])  # "d -halo 0.5"
    elif "tr" in found:
        opacity = 1 - float(found["tr"].split()[-1])
    maps = {
        key: texture_statement(found[key], files) for key in ("map_kd", "map_ke", "map_d") if key in found
    }
    return MtlMaterial(
        diffuse=_color(name, "Kd", found.get("kd")),
        emission=_color(name, "Ke", found.get("ke")),
        opacity=opacity,
        diffuse_map=maps.get("map_kd"),
        emission_map=maps.get("map_ke"),
        opacity_map=maps.get("map_d"),
    )


def _color(material: str, keyword: str, text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    words = text.split()
    if words[0].lower() in ("spectral", "xyz"):
        raise RejectedAsset(
            Reason.UNKNOWN_FORMAT,
            f"material {material!r} gives {keyword} as {words[0]}; only RGB is read: write it as three numbers",
        )
    values = [float(word) for word in words[:3]]
    if len(values) < 3:
        values = [values[0]] * 3
    return values[0], values[1], values[2]


def texture_statement(text: str, files: SideFiles) -> TextureStatement:
    """Read what follows the keyword of a `map_` statement.

    Raises:
        RejectedAsset: an option changes the image in a way that is not understood.
        ValueError: a number is none.
    """
    options: dict[str, list[str]] = {}
    rest = text
    while rest.startswith("-") and files.find(_plain(rest)) is None:
        option, _, rest = rest.partition(" ")
        if option.lower() not in _OPTIONS:
            raise _not_read(text, option)
        values = options.setdefault(option.lower(), [])
        while len(values) < _OPTIONS[option.lower()]:
            value, _, after = rest.lstrip().partition(" ")
            if values and option.lower() in _NUMBERS and not _is_number(value):
                break
            values.append(value)
            rest = after
        rest = rest.lstrip()
    _check_options(text, options)
    scale, offset = (
        _pair(options.get(option, []), default) for option, default in (("-s", 1.0), ("-o", 0.0))
    )
    clamp = options.get("-clamp", ["off"])[0].lower() == "on"
    channel = options.get("-imfchan", [""])[0].lower()
    return TextureStatement(_plain(rest), scale, offset, clamp, channel)


def find_texture(text: str, files: SideFiles) -> Path | None:
    """The image file of what follows the keyword of a `map_` statement; None if it is missing.

    Where an image with an absolute name lay on its author's disk says nothing; it is looked for beside the mesh.

    Raises:
        RejectedAsset: an option is not understood, or the name leads outside the folder.
        ValueError: a number is none.
    """
    return files.find(local_name(texture_statement(text, files).name))


def local_name(name: str) -> str:
    """The name below the mesh's folder: the last part of an absolute one."""
    return re.split("[/:]", name)[-1] if _ABSOLUTE.match(name) else name


def _check_options(text: str, options: dict[str, list[str]]) -> None:
    """Raises RejectedAsset when one of them changes how the image looks (`-bm`, `-boost` and the like do not)."""
    if [float(value) for value in options.get("-mm", [])] not in ([], [0.0], [0.0, 1.0]):
        raise _not_read(text, "-mm")
    if any(float(value) for value in options.get("-t", [])):
        raise _not_read(text, "-t")
    if options.get("-imfchan", ["l"])[0].lower() not in _CHANNELS:
        raise _not_read(text, "-imfchan")


def _not_read(text: str, option: str) -> RejectedAsset:
    return RejectedAsset(
        Reason.UNKNOWN_FORMAT,
        f"the texture {text!r} has the option {option}, which is not read: apply it to the image, e.g. in Blender",
    )


def _pair(values: list[str], default: float) -> tuple[float, float]:
    numbers = [float(value) for value in values[:2]]
    numbers += [default] * (2 - len(numbers))
    return numbers[0], numbers[1]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    return name.strip().strip('"').replace("\\", "/")
