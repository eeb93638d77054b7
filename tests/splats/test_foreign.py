"""Files of other programs: written here by gsplat's exporter, in the axes that it is given."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from gsplat import export_splats

from placid_kedro.errors import DataError, NumericError
from placid_kedro.splats import Gaussians
from placid_kedro.splats.axes import WORLD_TO_VIEWER, turn
from placid_kedro.splats.config import SplatsImport
from placid_kedro.splats.foreign import import_splats, into_cube


def scan(count: int = 3000) -> Gaussians:
    """Points in a box of 8 x 4 x 2 far from the origin, and one floater further away."""
    draw = torch.Generator().manual_seed(2)
    points = (torch.rand(count, 3, generator=draw) - 0.5) * torch.tensor([8.0, 4.0, 2.0]) + 20.0
    points[0] = 500.0
    return Gaussians.from_points(points, torch.rand(count, 3, generator=draw), opacity=0.5)


def written(gaussians: Gaussians, path: Path) -> Path:
    fields = ("means", "log_scales", "quats", "logit_opacities", "sh0", "shN")
    path.write_bytes(export_splats(*(getattr(gaussians, name) for name in fields), format="ply"))
    return path


def wanted(path: Path | str, **changes: object) -> SplatsImport:
    values = {"file": str(path), "axes": "viewer", "longest_edge": 0.9, "maximum": 10_000}
    return SplatsImport.model_validate(values | changes)


def test_a_scan_stands_upright_in_the_middle_of_the_cube(tmp_path: Path) -> None:
    given = scan()
    found = import_splats(wanted(written(turn(given, WORLD_TO_VIEWER), tmp_path / "scan.ply")))
    inside = found.means[1:]
    low, high = inside.amin(dim=0), inside.amax(dim=0)
    torch.testing.assert_close((high - low), torch.tensor([0.9, 0.45, 0.225]), rtol=0.02, atol=0)
    torch.testing.assert_close((high + low) / 2, torch.zeros(3), rtol=0, atol=0.005)
    # Sizes shrink with distances, and nothing else changes.
    factor = float((inside[1] - inside[2]).norm() / (given.means[2] - given.means[3]).norm())
    torch.testing.assert_close(found.scales, given.scales * factor, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.sh0, given.sh0)


def test_place_and_size_can_stay(tmp_path: Path) -> None:
    path = written(scan(), tmp_path / "scan.ply")
    found = import_splats(wanted(path, axes="world", longest_edge=None))
    assert torch.equal(found.means, scan().means)


def test_files_that_are_no_object_are_one_sentence(tmp_path: Path) -> None:
    path = written(scan(), tmp_path / "scan.ply")
    with pytest.raises(DataError, match="There is no file to import"):
        import_splats(wanted(""))
    with pytest.raises(DataError, match="There is no ply file"):
        import_splats(wanted(tmp_path / "gone.ply"))
    with pytest.raises(DataError, match="holds 3000 Gaussians, more than 100"):
        import_splats(wanted(path, maximum=100))
    empty = (
        path.read_bytes().partition(b"end_header")[0].replace(b"vertex 3000", b"vertex 0") + b"end_header\n"
    )
    (tmp_path / "empty.ply").write_bytes(empty)
    with pytest.raises(DataError, match="holds not one Gaussian"):
        import_splats(wanted(tmp_path / "empty.ply"))


def test_what_is_no_number_or_one_point_is_refused(tmp_path: Path) -> None:
    header, end, values = written(scan(), tmp_path / "scan.ply").read_bytes().partition(b"end_header\n")
    (tmp_path / "broken.ply").write_bytes(header + end + struct.pack("<f", float("nan")) + values[4:])
    with pytest.raises(NumericError, match="means"):
        import_splats(wanted(tmp_path / "broken.ply"))
    with pytest.raises(DataError, match="one point"):
        into_cube(Gaussians.from_points(torch.zeros(3, 3), torch.zeros(3, 3), opacity=0.5), 0.9)
