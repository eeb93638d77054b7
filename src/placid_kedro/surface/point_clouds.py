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

_GREY = 0.5


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

    Colours are read from red, green, blue (bytes or numbers in [0, 1]) or R, G, B, and are grey where there
    are none; normals from nx, ny, nz. `fit_to_cube` brings the points into the object's cube.

    Raises:
        DataError: for a missing or damaged file, another format, no points, or coordinates that are NaN.
    """
    suffix = path.suffix.lower()
    if suffix not in (".ply", ".npz"):
        raise DataError(f"A point cloud is read from .ply or .npz, got {path.name}.")
    try:
        columns = _ply_columns(path) if suffix == ".ply" else _npz_columns(path)
    except OSError as error:
        raise DataError(f"Cannot read the point cloud {path}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise DataError(f"{path} is no whole point cloud: {error}.") from error
    points = _stack(columns, "xyz")
    if points is None or len(points) == 0:
        raise DataError(f"{path} holds no points; expected x, y, z of at least one vertex.")
    if not np.isfinite(points).all():
        raise DataError(f"{path} holds coordinates that are NaN or infinite; remove those points.")
    colors = _stack(columns, ("red", "green", "blue"))
    if colors is None:
        colors = _stack(columns, "RGB")
    if colors is None:
        colors = np.full_like(points, _GREY, dtype=np.float32)
    elif np.issubdtype(columns.get("red", colors).dtype, np.integer):
        colors = colors / np.float32(255)
    normals = _stack(columns, ("nx", "ny", "nz"))
    return PointCloud(
        torch.from_numpy(points),
        torch.from_numpy(np.nan_to_num(colors, nan=_GREY)).clamp(0, 1),
        None if normals is None else F.normalize(torch.from_numpy(normals), dim=-1),
    )


def _ply_columns(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        elements = load_ply(stream, fix_texture=False, skip_materials=True)["metadata"]["_ply_raw"]
    vertices = elements["vertex"]
    # trimesh stops early, without a word, where a text file ends too soon.
    columns = {name: np.asarray(vertices["data"][name]).reshape(-1) for name in vertices["properties"]}
    if any(len(column) != vertices["length"] for column in columns.values()):
        raise ValueError(f"it announces {vertices['length']} vertices and holds fewer")
    return columns


def _npz_columns(path: Path) -> dict[str, np.ndarray]:
    # Point-E writes one array of coordinates and one array for every channel.
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
