"""Point clouds that do not come from Latent-Plane: the ablation's baselines and other methods' files."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from trimesh.exchange.ply import load_ply

from placid_kedro.cameras.rays import CUBE_HALF_EXTENT
from placid_kedro.errors import DataError
from placid_kedro.foreign import check_members, reading
from placid_kedro.splats.gaussians import SH_C0
from placid_kedro.splats.ply import load_ply as load_ply_of_gaussians

_GREY = 0.5
_MAX_BYTES = 2**30
_LARGEST_HEADER = 1 << 16


@dataclass(frozen=True)
class PointCloud:
    """P points in the world.

    Attributes:
        points: [P, 3] float32.
        colors: [P, 3] float32 in [0, 1].
        normals: [P, 3] float32 of length one, or None where they are not known.
    """

    points: Tensor
    colors: Tensor
    normals: Tensor | None


def sphere(count: int, radius: float, generator: torch.Generator) -> PointCloud:
    """`count` grey points, evenly distributed on a sphere around the origin."""
    normals = F.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    return PointCloud(radius * normals, torch.full((count, 3), _GREY), normals)


def random(count: int, generator: torch.Generator, half_extent: float = CUBE_HALF_EXTENT) -> PointCloud:
    """`count` grey points, uniform in the cube [-half_extent, half_extent]^3."""
    points = (2 * torch.rand(count, 3, generator=generator) - 1) * half_extent
    return PointCloud(points, torch.full((count, 3), _GREY), None)


def fit_to_cube(cloud: PointCloud, longest_edge: float) -> PointCloud:
    """Centre the bounding box and scale all axes alike until its longest edge is `longest_edge`.

    Raises:
        DataError: when all points coincide.
    """
    low, high = cloud.points.amin(0), cloud.points.amax(0)
    extent = float((high - low).max())
    if not extent > 0:
        raise DataError("All points of the cloud coincide; it has no size to fit.")
    return replace(cloud, points=(cloud.points - (low + high) / 2) * (longest_edge / extent))


def from_point_cloud_file(path: Path) -> PointCloud:
    """Points of a `.ply` (the vertices of a mesh or cloud) or of Point-E's `.npz`; axes as in the file.

    Colours are read from red, green, blue (bytes or numbers in [0, 1]), R, G, B or the f_dc_0..2 of 3D Gaussian
    Splatting, and are grey where there are none; normals from nx, ny, nz, unless one of them has no direction: splats
    have zeros there. `fit_to_cube` brings the points into the object's cube.

    Raises:
        DataError: for a missing or damaged file, another format, no points, or coordinates that are NaN.
    """
    suffix = path.suffix.lower()
    if suffix not in (".ply", ".npz"):
        raise DataError(f"A point cloud is read from .ply or .npz, got {path.name}.")
    with reading(path, "a point cloud", "give another file in init.source.path", max_bytes=_MAX_BYTES):
        return _cloud(_ply_columns(path) if suffix == ".ply" else _npz_columns(path), path)


def _cloud(columns: dict[str, np.ndarray], path: Path) -> PointCloud:
    points = _stack(columns, "xyz")
    if points is None or len(points) == 0:
        raise DataError(f"{path} holds no points; expected x, y, z of at least one vertex.")
    if not np.isfinite(points).all():
        raise DataError(f"{path} holds coordinates that are NaN or infinite; remove those points.")
    normals = _stack(columns, ("nx", "ny", "nz"))
    known = normals is not None and bool((np.isfinite(normals).all(1) & normals.any(1)).all())
    return PointCloud(
        torch.from_numpy(points),
        torch.from_numpy(np.nan_to_num(_colors(columns, points), nan=_GREY)).clamp(0, 1),
        F.normalize(torch.from_numpy(normals), dim=-1) if normals is not None and known else None,
    )


def _colors(columns: dict[str, np.ndarray], points: np.ndarray) -> np.ndarray:
    """[P, 3] float32, from the first kind of colour that the columns have."""
    for names in (("red", "green", "blue"), tuple("RGB")):
        colors = _stack(columns, names)
        if colors is not None:
            whole = np.issubdtype(columns[names[0]].dtype, np.integer)
            return colors / np.float32(255) if whole else colors
    harmonics = _stack(columns, tuple(f"f_dc_{i}" for i in range(3)))
    if harmonics is not None:
        return np.float32(0.5) + np.float32(SH_C0) * harmonics
    return np.full_like(points, _GREY, dtype=np.float32)


def _ply_columns(path: Path) -> dict[str, np.ndarray]:
    _check_header(path)
    with path.open("rb") as stream:
        elements = load_ply(stream, fix_texture=False, skip_materials=True)["metadata"]["_ply_raw"]
    vertices = elements["vertex"]
    # trimesh stops early, without a word, where a text file ends too soon.
    columns = {name: np.asarray(vertices["data"][name]).reshape(-1) for name in vertices["properties"]}
    if any(len(column) != vertices["length"] for column in columns.values()):
        raise ValueError(f"it announces {vertices['length']} vertices and holds fewer")
    if "rot_0" in columns:  # splats, whose axes a comment of the file may say
        columns.update(zip("xyz", load_ply_of_gaussians(path).means.numpy().T, strict=True))
    return columns


def _check_header(path: Path) -> None:
    """Refuse a file that announces more than it can hold, before anybody reserves memory for it."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_LARGEST_HEADER).partition(b"end_header")[0]
    for line in head.splitlines():
        words = line.split()
        if words[:1] == [b"element"] and (
            len(words) != 3 or len(words[2]) > len(str(size)) or int(words[2]) > size
        ):
            raise ValueError("it announces more than it holds")


def _npz_columns(path: Path) -> dict[str, np.ndarray]:
    # Point-E writes one array of coordinates and one array for every channel.
    with zipfile.ZipFile(path) as archive:
        check_members(archive, archive.infolist(), _MAX_BYTES)
    with np.load(path, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in arrays.files if name != "coords"}
        coordinates = arrays["coords"]
    if coordinates.ndim != 2 or coordinates.shape[1] != 3:
        raise ValueError(f"coords must be [P, 3], got {list(coordinates.shape)}")
    columns.update(zip("xyz", coordinates.T, strict=True))
    return columns


def _stack(columns: dict[str, np.ndarray], names: tuple[str, ...] | str) -> np.ndarray | None:
    """[P, 3] float32 of three columns, or None when one is missing."""
    if any(name not in columns for name in names):
        return None
    return np.stack([np.asarray(columns[name], dtype=np.float32) for name in names], axis=1)
