"""The baselines' points, and clouds from files written by other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from placid_kedro.errors import DataError
from placid_kedro.splats import Gaussians, save_ply
from placid_kedro.surface.point_clouds import (
    PointCloud,
    fit_to_cube,
    from_point_cloud_file,
    random,
    sphere,
)

POINTS = np.array([[0.0, 0.1, 0.2], [1.0, 0.5, -0.25], [-0.5, 2.0, 0.75]], dtype=np.float32)


def test_sphere_and_random_fill_their_shapes():
    ball = sphere(5000, 0.4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(ball.points.norm(dim=-1), torch.full((5000,), 0.4))
    torch.testing.assert_close(ball.points, 0.4 * ball.normals)
    # Archimedes: heights on a sphere are uniform.
    assert ball.points[:, 2].var() == pytest.approx(0.8**2 / 12, rel=0.1)
    cube = random(5000, torch.Generator().manual_seed(0))
    assert cube.normals is None and cube.points.abs().max() <= 0.5
    torch.testing.assert_close(cube.points.var(0), torch.full((3,), 1 / 12), rtol=0.1, atol=0)


def test_trimesh_cloud_with_byte_colours(tmp_path):
    colors = np.array([[255, 0, 0, 255], [0, 51, 0, 255], [0, 0, 102, 255]], dtype=np.uint8)
    trimesh.PointCloud(POINTS, colors).export(tmp_path / "cloud.ply")
    cloud = from_point_cloud_file(tmp_path / "cloud.ply")
    np.testing.assert_allclose(cloud.points, POINTS)
    np.testing.assert_allclose(cloud.colors, colors[:, :3] / 255, atol=1e-6)
    assert cloud.normals is None and cloud.points.dtype == torch.float32


HEADER = """ply
format {} 1.0
comment a triangle
element vertex 3
property float x
property float y
property float z
property float nx
property float ny
property float nz
property float red
property float green
property float blue
element face 1
property list uchar int vertex_indices
end_header
"""


def test_mesh_vertices_with_float_colours_and_normals(tmp_path):
    rows = np.hstack([POINTS, [[0, 0, 2, 0, 0.25, 0]] * 3]).astype(np.float32)
    lines = [" ".join(map(str, row)) for row in rows]
    text = HEADER.format("ascii") + "\n".join([*lines, "3 0 1 2", ""])
    little = HEADER.format("binary_little_endian").encode() + rows.astype("<f4").tobytes()
    big = HEADER.format("binary_big_endian").encode() + rows.astype(">f4").tobytes()
    indices = np.array([0, 1, 2])
    for content in (
        text.encode(),
        little + b"\x03" + indices.astype("<i4").tobytes(),
        big + b"\x03" + indices.astype(">i4").tobytes(),
    ):
        (tmp_path / "mesh.ply").write_bytes(content)
        cloud = from_point_cloud_file(tmp_path / "mesh.ply")
        np.testing.assert_allclose(cloud.points, POINTS)
        np.testing.assert_allclose(cloud.colors, [[0, 0.25, 0]] * 3)
        np.testing.assert_allclose(cloud.normals, [[0, 0, 1]] * 3)


def test_text_with_byte_colours(tmp_path):
    kinds = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    axes = "".join(f"property double {name}\n" for name in "xyz")
    header = f"ply\nformat ascii 1.0\nelement vertex 2\n{axes}{kinds}end_header\n"
    (tmp_path / "cloud.ply").write_text(header + "0 0.1 0.2 255 0 51\n1 2 3 0 102 0\n")
    cloud = from_point_cloud_file(tmp_path / "cloud.ply")
    np.testing.assert_allclose(cloud.points, [[0, 0.1, 0.2], [1, 2, 3]], atol=1e-7)
    np.testing.assert_allclose(cloud.colors, [[1, 0, 0.2], [0, 0.4, 0]], atol=1e-7)
    (tmp_path / "cloud.ply").write_text(header + "0 0.1 0.2 255 0 51\n")
    with pytest.raises(DataError, match="announces 2 vertices and holds fewer"):
        from_point_cloud_file(tmp_path / "cloud.ply")


def test_point_e_file(tmp_path):
    channels = {name: np.array([0.1, 0.2, 0.3], dtype=np.float32) * (i + 1) for i, name in enumerate("RGB")}
    np.savez(tmp_path / "cloud.npz", coords=POINTS, **channels)
    cloud = from_point_cloud_file(tmp_path / "cloud.npz")
    np.testing.assert_allclose(cloud.points, POINTS)
    np.testing.assert_allclose(cloud.colors, np.stack(list(channels.values()), 1), atol=1e-6)


def test_no_colours_are_grey(tmp_path):
    np.savez(tmp_path / "cloud.npz", coords=POINTS)
    assert (from_point_cloud_file(tmp_path / "cloud.npz").colors == 0.5).all()


def test_fitting_keeps_proportions_and_handedness():
    cloud = PointCloud(torch.tensor(POINTS), torch.zeros(3, 3), None)
    fitted = fit_to_cube(cloud, 0.9)
    extent = fitted.points.amax(0) - fitted.points.amin(0)
    assert extent.max() == pytest.approx(0.9)
    torch.testing.assert_close(fitted.points.amax(0), -fitted.points.amin(0), rtol=0, atol=1e-6)
    before, after = cloud.points[1:] - cloud.points[0], fitted.points[1:] - fitted.points[0]
    torch.testing.assert_close(after / before, torch.full((2, 3), 0.9 / 1.9), rtol=1e-4, atol=0)


def test_unreadable_files_are_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (print, ("code",))

    np.savez(tmp_path / "code.npz", coords=np.array([Payload()], dtype=object))
    (tmp_path / "text.ply").write_text("some text\n")
    (tmp_path / "header.ply").write_text("ply\nformat ascii 1.0\nelement vertex 3\n")
    (tmp_path / "property.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty quad x\nend_header\n1\n"
    )
    (tmp_path / "faces.ply").write_text("ply\nformat ascii 1.0\nelement face 0\nend_header\n")
    (tmp_path / "text.npz").write_text("not a zip")
    np.savez(tmp_path / "flat.npz", coords=np.zeros(6))
    np.savez(tmp_path / "nan.npz", coords=np.full((2, 3), np.nan))
    np.savez(tmp_path / "empty.npz", coords=np.zeros((0, 3)))
    np.savez_compressed(tmp_path / "bomb.npz", coords=np.zeros((2_000_000, 3)))
    (tmp_path / "digits.ply").write_text(
        f"ply\nformat ascii 1.0\nelement vertex {'9' * 5000}\nproperty float x\nend_header\n1\n"
    )
    trimesh.PointCloud(POINTS).export(tmp_path / "whole.ply")
    (tmp_path / "cut.ply").write_bytes((tmp_path / "whole.ply").read_bytes()[:-9])
    for name, message in {
        "code.npz": "cannot be read as a point cloud",
        "text.ply": "cannot be read as a point cloud",
        "header.ply": "cannot be read as a point cloud",
        "property.ply": "cannot be read as a point cloud",
        "faces.ply": "cannot be read as a point cloud",
        "text.npz": "cannot be read as a point cloud",
        "cut.ply": "cannot be read as a point cloud",
        "bomb.npz": "unpacks from",
        "digits.ply": "announces more than it holds",
        "flat.npz": r"coords must be \[P, 3\]",
        "nan.npz": "NaN or infinite",
        "empty.npz": "holds no points",
        "absent.ply": "does not exist",
        "cloud.obj": r"\.ply or \.npz",
    }.items():
        with pytest.raises(DataError, match=message):
            from_point_cloud_file(tmp_path / name)
    with pytest.raises(DataError, match="coincide"):
        fit_to_cube(PointCloud(torch.ones(3, 3), torch.ones(3, 3), None), 1.0)


def test_baselines_follow_their_generator_and_are_grey():
    one, again, other = (random(5, torch.Generator().manual_seed(seed), 0.25) for seed in (1, 1, 2))
    assert torch.equal(one.points, again.points) and not torch.equal(one.points, other.points)
    assert float(one.points.abs().max()) <= 0.25
    assert one.colors.shape == (5, 3) and (one.colors == 0.5).all() and one.normals is None


def test_colours_of_a_file_end_in_their_range_and_unknown_ones_are_grey(tmp_path):
    coordinates = np.arange(9, dtype=np.float64).reshape(3, 3)
    channels = {"R": [1.5, np.nan, 0.25], "G": [-0.5, 0.5, 0.5], "B": [0.0, 1.0, 0.75]}
    np.savez(tmp_path / "cloud.npz", coords=coordinates, **{k: np.array(v) for k, v in channels.items()})
    cloud = from_point_cloud_file(tmp_path / "cloud.npz")
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 1.0], [0.25, 0.5, 0.75]])
    torch.testing.assert_close(cloud.colors, expected)
    assert cloud.points.dtype == cloud.colors.dtype == torch.float32
    np.savez(tmp_path / "plain.npz", coords=coordinates)
    plain = from_point_cloud_file(tmp_path / "plain.npz")
    assert plain.colors.dtype == torch.float32 and (plain.colors == 0.5).all()


def test_a_small_cloud_is_brought_to_size_as_well():
    small = PointCloud(torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.05, 0.0]]), torch.full((2, 3), 0.5), None)
    fitted = fit_to_cube(small, 0.8)
    torch.testing.assert_close(fitted.points, torch.tensor([[-0.4, -0.2, 0.0], [0.4, 0.2, 0.0]]))


def test_splats_are_points_in_their_colours_without_normals(tmp_path):
    """The file's normals are zeros, as every exporter of splats writes them."""
    colors = torch.tensor([[0.1, 0.5, 0.9], [1.0, 0.0, 0.25], [0.3, 0.3, 0.3]])
    save_ply(Gaussians.from_points(torch.tensor(POINTS), colors, opacity=0.5), tmp_path / "splats.ply")
    cloud = from_point_cloud_file(tmp_path / "splats.ply")
    np.testing.assert_allclose(cloud.points, POINTS)
    np.testing.assert_allclose(cloud.colors, colors, atol=1e-6)
    assert cloud.normals is None
