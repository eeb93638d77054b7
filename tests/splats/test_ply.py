"""The 3DGS ply format: an independent reader understands what is written, and damaged files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from placid_kedro.errors import DataError
from placid_kedro.splats import Gaussians, load_ply, save_ply

FIELDS = ("means", "quats", "log_scales", "logit_opacities", "sh0", "shN")


def some_gaussians(count: int = 20, sh_degree: int = 3) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    bands = (sh_degree + 1) ** 2 - 1
    shapes = [(3,), (4,), (3,), (), (1, 3), (bands, 3)]
    return Gaussians(*(torch.randn(count, *shape, generator=generator) for shape in shapes))


def covariances(quats: np.ndarray, log_scales: np.ndarray) -> np.ndarray:
    """[N, 3, 3] by scipy."""
    rotations = Rotation.from_quat(quats, scalar_first=True).as_matrix()
    halves = rotations * np.exp(log_scales)[:, None, :]
    return halves @ halves.transpose(0, 2, 1)


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_what_is_written_is_read(tmp_path, sh_degree):
    gaussians = some_gaussians(sh_degree=sh_degree)
    save_ply(gaussians, tmp_path / "gaussians.ply")
    again = load_ply(tmp_path / "gaussians.ply")
    for name in FIELDS[:-1]:
        assert torch.equal(getattr(again, name), getattr(gaussians, name)), name
    # Bands above the first are turned by roots of three.
    torch.testing.assert_close(again.shN, gaussians.shN, rtol=1e-5, atol=1e-6)


def test_another_reader_finds_every_property(tmp_path):
    gaussians = some_gaussians()
    path = tmp_path / "gaussians.ply"
    save_ply(gaussians, path)
    vertices = trimesh.load(path).metadata["_ply_raw"]["vertex"]["data"]
    order = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    order += [f"f_rest_{i}" for i in range(45)]
    order += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert list(vertices.dtype.names) == order
    x, y, z = gaussians.means.T
    for column, expected in [("x", y), ("y", -z), ("z", -x), ("opacity", gaussians.logit_opacities)]:
        np.testing.assert_array_equal(vertices[column].ravel(), expected)
    for channel in range(3):
        np.testing.assert_array_equal(vertices[f"f_dc_{channel}"].ravel(), gaussians.sh0[:, 0, channel])
        # The first band is (-y, z, -x) in its own axes, of which the file's y and z are the world's -z and -x.
        world_y, world_z, world_x = gaussians.shN[:, :3, channel].T * torch.tensor([[-1], [1], [-1]])
        for band, expected in enumerate([world_z, -world_x, -world_y]):
            column = vertices[f"f_rest_{15 * channel + band}"].ravel()
            np.testing.assert_allclose(column, expected, atol=1e-6)
    turned = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    quats, scales = (
        np.stack([vertices[f"{name}_{i}"].ravel() for i in range(n)], axis=1)
        for name, n in (("rot", 4), ("scale", 3))
    )
    written = covariances(quats, scales)
    original = covariances(gaussians.quats.numpy(), gaussians.log_scales.numpy())
    np.testing.assert_allclose(written, turned @ original @ turned.T, rtol=1e-4, atol=1e-6)
    assert not vertices["ny"].any()


def test_the_degree_of_the_file_can_be_chosen(tmp_path):
    gaussians = some_gaussians(sh_degree=0)
    save_ply(gaussians, tmp_path / "small.ply", sh_degree=0)
    save_ply(gaussians, tmp_path / "standard.ply")
    sizes = [
        len((tmp_path / name).read_bytes().split(b"end_header\n", 1)[1])
        for name in ("small.ply", "standard.ply")
    ]
    assert sizes == [20 * 17 * 4, 20 * 62 * 4]


def test_properties_in_another_order_and_type(tmp_path):
    gaussians = some_gaussians(3, sh_degree=0)
    path = tmp_path / "other.ply"
    names = ["opacity", "rot_0", "rot_1", "rot_2", "rot_3", "x", "y", "z", "red"]
    names += ["scale_0", "scale_1", "scale_2", "f_dc_0", "f_dc_1", "f_dc_2"]
    columns = torch.cat(
        [gaussians.logit_opacities[:, None], gaussians.quats, gaussians.means, torch.zeros(3, 1),
         gaussians.log_scales, gaussians.sh0[:, 0]], dim=1,
    ).numpy()  # fmt: skip
    layout = np.dtype([(name, "u1" if name == "red" else "<f8") for name in names])
    vertices = np.array([tuple(row) for row in columns], layout)
    kinds = "".join(f"property {'uchar' if name == 'red' else 'double'} {name}\n" for name in names)
    header = (
        f"ply\nformat binary_little_endian 1.0\ncomment made by hand\nelement vertex 3\n{kinds}end_header\n"
    )
    path.write_bytes(header.encode() + vertices.tobytes())
    again = load_ply(path)
    for name in FIELDS:
        assert torch.equal(getattr(again, name), getattr(gaussians, name)), name


def test_gaussians_that_are_not_finite_are_not_written(tmp_path):
    gaussians = some_gaussians()
    gaussians.means[3, 1] = float("nan")
    gaussians.shN[5, 2, 0] = float("inf")
    save_ply(gaussians, tmp_path / "gaussians.ply")
    kept = [index for index in range(20) if index not in (3, 5)]
    assert torch.equal(load_ply(tmp_path / "gaussians.ply").means, gaussians.means[kept])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "gaussians.ply"
    save_ply(some_gaussians(5), path)
    before = path.read_bytes()
    writes = []

    def full_disk(self, *args, **kwargs):
        stream = open_(self, *args, **kwargs)
        writes.append(self)
        stream.write(b"ply\n")
        stream.close()
        raise OSError(28, "No space left on device")

    open_ = Path.open
    monkeypatch.setattr(Path, "open", full_disk)
    with pytest.raises(OSError, match="space"):
        save_ply(some_gaussians(50), path)
    monkeypatch.undo()
    assert writes and writes[0] != path
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def damaged(data: bytes, kind: str) -> bytes:
    return {
        "empty": b"",
        "not a ply": b"\x89PNG\r\n" + data,
        "no end": data.split(b"end_header")[0],
        "cut off": data[:-5],
        "ascii": data.replace(b"binary_little_endian", b"ascii"),
        "no opacity": data.replace(b"float opacity", b"float opaque!"),
        "a list": data.replace(b"property float nx", b"property list uchar int nx"),
        "two names": data.replace(b"float nx", b"float x"),
        "faces first": data.replace(b"element vertex", b"element face"),
        "odd bands": data.replace(b"float f_rest_44", b"float g_rest_44"),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "not a ply",
        "no end",
        "cut off",
        "ascii",
        "no opacity",
        "a list",
        "two names",
        "faces first",
        "odd bands",
    ],
)
def test_damaged_files_are_refused(tmp_path, kind):
    path = tmp_path / "gaussians.ply"
    save_ply(some_gaussians(), path)
    path.write_bytes(damaged(path.read_bytes(), kind))
    with pytest.raises(DataError, match=r"gaussians\.ply"):
        load_ply(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.ply"):
        load_ply(tmp_path / "nothing.ply")


def test_a_file_from_before_the_axes_were_turned_is_told_by_its_missing_comment(tmp_path):
    gaussians = some_gaussians(sh_degree=0)
    save_ply(gaussians, tmp_path / "new.ply")
    content = (tmp_path / "new.ply").read_bytes()
    comment = b"comment placid_kedro axes: x right, y down, z forward\n"
    assert content.count(comment) == 1 and content.split(b"\n")[2].startswith(b"element vertex")
    (tmp_path / "unmarked.ply").write_bytes(content.replace(comment, b""))
    as_written = load_ply(tmp_path / "unmarked.ply")
    assert torch.equal(as_written.means[:, 0], gaussians.means[:, 1])
    assert torch.equal(as_written.means, load_ply(tmp_path / "new.ply", axes="world").means)
    from_elsewhere = load_ply(tmp_path / "unmarked.ply", axes="viewer")
    for name in FIELDS:
        assert torch.equal(getattr(from_elsewhere, name), getattr(gaussians, name)), name
