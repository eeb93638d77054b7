"""The ply files of 3D Gaussian Splatting (Kerbl et al. 2023): what SuperSplat and the reference viewer open.

One float32 vertex a Gaussian: x y z, nx ny nz (unused, zero), f_dc_0..2, f_rest_0.. (all coefficients of red,
then green, then blue), opacity (logit), scale_0..2 (logarithm), rot_0..3 (wxyz). gsplat's exporter leaves the
normals out, but the reference viewer reads records of a fixed layout that has them; so this module writes its
own.

Viewers count y downwards and look along z, so the file has those axes (`WORLD_TO_VIEWER`), and a comment that says so.
A file without the comment has the axes of the world, as this project wrote it before, unless the caller knows better.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

from placid_kedro.errors import DataError
from placid_kedro.files import new_file
from placid_kedro.splats.axes import WORLD_TO_VIEWER, turn
from placid_kedro.splats.gaussians import Gaussians

PlyAxes = Literal["marked", "viewer", "world"]

_AXES_COMMENT = "comment placid_kedro axes: x right, y down, z forward"
_POSITION = ("x", "y", "z")
_NORMAL = ("nx", "ny", "nz")
_DC = tuple(f"f_dc_{i}" for i in range(3))
_SCALE = tuple(f"scale_{i}" for i in range(3))
_ROTATION = tuple(f"rot_{i}" for i in range(4))
_LARGEST_HEADER = 1 << 16
_DTYPES = {
    "char": "<i1",
    "int8": "<i1",
    "uchar": "<u1",
    "uint8": "<u1",
    "short": "<i2",
    "int16": "<i2",
    "ushort": "<u2",
    "uint16": "<u2",
    "int": "<i4",
    "int32": "<i4",
    "uint": "<u4",
    "uint32": "<u4",
    "float": "<f4",
    "float32": "<f4",
    "double": "<f8",
    "float64": "<f8",
}


def save_ply(gaussians: Gaussians, path: Path, *, sh_degree: int = 3) -> None:
    """Write Gaussians as a binary ply file, whole or not at all; it stands upright and faces who opens it.

    Args:
        gaussians: in the world; those with a value that is not finite are left out, for no viewer can show them.
        path: the file; what it held before is replaced.
        sh_degree: degree of the file. The reference viewer expects 3 unless told otherwise; missing bands are
            written as zeros.

    Raises:
        ParameterError: the degree is not 0, 1, 2 or 3.
        DataError: the path is a folder.
        OSError: the file cannot be written.
    """
    turned = turn(gaussians.detach().to("cpu").with_sh_degree(sh_degree), WORLD_TO_VIEWER)
    columns = _columns(turned)
    vertices = torch.cat(list(columns.values()), dim=1)
    vertices = vertices[torch.isfinite(vertices).all(dim=1)]
    names = [name for group in columns for name in group]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    # The reference viewer takes the third line for the count, so the comment stands last.
    header += [f"property float {name}" for name in names] + [_AXES_COMMENT, "end_header", ""]
    with new_file(path) as temporary, temporary.open("wb") as stream:
        stream.write("\n".join(header).encode("ascii"))
        stream.write(vertices.numpy().astype("<f4").tobytes())


def load_ply(path: Path, *, axes: PlyAxes = "marked", most: int | None = None) -> Gaussians:
    """Read a ply file of Gaussians into the world; spherical-harmonic bands that are zero throughout are left out.

    Args:
        path: the file.
        axes: those of the file. "marked": the viewers' where this project's comment says so, else the world's, as in
            files from before there was the comment. "viewer": x right, y down, z forward, as other 3DGS programs
            write. "world": z up, the front towards x.
        most: Gaussians that are read; None for any number.

    Raises:
        DataError: the file is missing, cut off, larger than `most`, not a binary little-endian ply, or holds
            something else.
    """
    if not path.is_file():
        raise DataError(f"There is no ply file {path}; give the path of a file of Gaussians.")
    with path.open("rb") as stream:
        count, layout, is_marked = _read_header(stream, path)
        if most is not None and count > most:
            raise DataError(
                f"{path} holds {count} Gaussians, more than {most}; make it smaller, or raise that limit."
            )
        data = stream.read(count * layout.itemsize)
    vertices = np.frombuffer(data, layout)
    names = layout.names or ()
    needed = (*_POSITION, *_DC, "opacity", *_SCALE, *_ROTATION)
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(f"{path} is not a ply file of Gaussians: it has no property {missing[0]}.")
    rest = sum(name.startswith("f_rest_") for name in names)
    if rest not in (0, 9, 24, 45) or any(f"f_rest_{i}" not in names for i in range(rest)):
        raise DataError(f"{path} holds {rest} f_rest properties, expected 0, 9, 24 or 45 (degree 0 to 3).")

    def stacked(*group: str) -> Tensor:
        columns = [vertices[name].astype(np.float32) for name in group]
        return torch.from_numpy(np.stack(columns, axis=1)) if group else torch.zeros(count, 0)

    bands = stacked(*(f"f_rest_{i}" for i in range(rest))).reshape(count, 3, rest // 3).transpose(1, 2)
    gaussians = Gaussians(
        means=stacked(*_POSITION),
        quats=stacked(*_ROTATION),
        log_scales=stacked(*_SCALE),
        logit_opacities=stacked("opacity")[:, 0],
        sh0=stacked(*_DC)[:, None],
        shN=bands.contiguous(),
    )
    degree = gaussians.sh_degree
    while degree > 0 and not gaussians.shN[:, degree**2 - 1 :].any():
        degree -= 1
        gaussians = gaussians.with_sh_degree(degree)
    is_turned = axes == "viewer" or (axes == "marked" and is_marked)
    return turn(gaussians, WORLD_TO_VIEWER.inverse) if is_turned else gaussians


def _columns(gaussians: Gaussians) -> dict[tuple[str, ...], Tensor]:
    """The file's columns [N, len(names)] in their order, by their names."""
    rest = gaussians.shN.transpose(1, 2).flatten(1)
    return {
        _POSITION: gaussians.means,
        _NORMAL: torch.zeros_like(gaussians.means),
        _DC: gaussians.sh0[:, 0],
        tuple(f"f_rest_{i}" for i in range(rest.shape[1])): rest,
        ("opacity",): gaussians.logit_opacities[:, None],
        _SCALE: gaussians.log_scales,
        _ROTATION: gaussians.quats,
    }


def _read_header(stream: BinaryIO, path: Path) -> tuple[int, np.dtype, bool]:
    """Number of vertices, the layout of one, whether this project's comment on axes is there; leaves the stream at the
    first vertex."""
    lines: list[list[str]] = []
    while not lines or lines[-1] != ["end_header"]:
        line = stream.readline(_LARGEST_HEADER)
        if not line or stream.tell() > _LARGEST_HEADER or (not lines and line.strip() != b"ply"):
            raise DataError(f"{path} is not a ply file: its header has no beginning or no end.")
        lines.append(line.decode("ascii", errors="replace").split())
    if ["format", "binary_little_endian", "1.0"] not in lines:
        raise DataError(f"{path} is not a binary little-endian ply file; convert it to one.")
    elements = [line for line in lines if line[:1] == ["element"]]
    if (
        not elements
        or elements[0][1:2] != ["vertex"]
        or len(elements[0]) != 3
        or not elements[0][2].isdecimal()
    ):
        raise DataError(f"{path} is not a ply file of Gaussians: its first element is not 'vertex'.")
    first = lines.index(elements[0]) + 1
    last = lines.index(elements[1]) if len(elements) > 1 else len(lines)
    properties = [line for line in lines[first:last] if line[:1] == ["property"]]
    if any(len(line) != 3 or line[1] not in _DTYPES for line in properties):
        raise DataError(f"{path} is not a ply file of Gaussians: a property of its vertices is not a number.")
    try:
        layout = np.dtype([(name, _DTYPES[kind]) for _, kind, name in properties])
    except ValueError as error:
        raise DataError(f"{path} is not a ply file of Gaussians: {error}.") from error
    left = path.stat().st_size - stream.tell()
    # Digits are counted first: Python refuses to read thousands of them.
    if len(elements[0][2]) > len(str(left)) or int(elements[0][2]) * layout.itemsize > left:
        raise DataError(
            f"{path} is cut off: it holds fewer than the {elements[0][2][:20]} Gaussians that it announces."
        )
    return int(elements[0][2]), layout, _AXES_COMMENT.split() in lines
