"""Splat files and pictures against other readers, or their formats as they are published."""

from __future__ import annotations

import math
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from gsply import plyread, read_spz
from PIL import Image
from pydantic import ValidationError

from placid_kedro.export.config import CameraPath, ExportParameters
from placid_kedro.export.formats import write_compact, write_splats
from placid_kedro.export.pictures import pictures_along, write_gif, write_pngs, write_video
from placid_kedro.splats import Gaussians
from placid_kedro.splats.gaussians import SH_C0

PATH = CameraPath(frames=4, elevation_deg=0.0, distance=2.0, field_of_view_deg=40.0, size=64, fps=10)
# x right, y down, z forward; and x right, y up, z backwards.
VIEWER, UPRIGHT = ((1, 1), (2, -1), (0, -1)), ((1, 1), (2, 1), (0, 1))


@pytest.fixture
def gaussians() -> Gaussians:
    """Ten in general position."""
    generator = torch.Generator().manual_seed(3)
    return Gaussians(
        means=torch.rand(10, 3, generator=generator) - 0.5,
        quats=torch.randn(10, 4, generator=generator),
        log_scales=-3 - torch.rand(10, 3, generator=generator),
        logit_opacities=torch.randn(10, generator=generator),
        sh0=(torch.rand(10, 1, 3, generator=generator) - 0.5) / SH_C0,
        shN=torch.zeros(10, 0, 3),
    )


def turned(vectors: np.ndarray, axes: tuple[tuple[int, int], ...]) -> np.ndarray:
    return np.stack([sign * vectors[:, axis] for axis, sign in axes], axis=1)


def covariances(scales: np.ndarray, quats: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    rotations = Rotation.from_quat(quats, scalar_first=True).as_matrix()
    return np.einsum("nij,nj,nkj->nik", rotations, scales**2, rotations)


def paired(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """For each expected centre the index of the nearest one that was found; all different."""
    nearest = np.linalg.norm(expected[:, None] - found[None], axis=-1).argmin(axis=1)
    assert len(set(nearest)) == len(expected)
    return nearest


def test_spz_keeps_every_gaussian_upright(gaussians: Gaussians, tmp_path: Path) -> None:
    write_compact(gaussians, tmp_path / "a.spz")
    read = read_spz(tmp_path / "a.spz")
    assert np.abs(read.means - turned(gaussians.means.numpy(), UPRIGHT)).max() <= 1 / 4096
    assert np.abs(read.sh0 - gaussians.sh0[:, 0].numpy()).max() < 0.02
    # A covariance turns as R C R^T.
    axes = np.zeros((3, 3))
    for row, (axis, sign) in enumerate(UPRIGHT):
        axes[row, axis] = sign
    expected = axes @ covariances(gaussians.scales.numpy(), gaussians.quats.numpy()) @ axes.T
    found = covariances(np.exp(read.scales), read.quats)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_compressed_ply_is_read_by_another_library(gaussians: Gaussians, tmp_path: Path) -> None:
    write_splats(gaussians, tmp_path / "a.compressed.ply", "ply_compressed")
    read = plyread(str(tmp_path / "a.compressed.ply"))
    centres = turned(gaussians.means.numpy(), VIEWER)
    order = paired(read.means, centres)
    assert np.abs(read.means[order] - centres).max() < 2e-3
    assert np.abs(read.scales[order] - gaussians.log_scales[:, [1, 2, 0]].numpy()).max() < 0.01


def test_splat_has_32_bytes_a_gaussian(gaussians: Gaussians, tmp_path: Path) -> None:
    """Position and scale as floats, colour with opacity and rotation as bytes, as the format is published."""
    write_splats(gaussians, tmp_path / "a.splat", "splat")
    layout = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])
    read = np.frombuffer((tmp_path / "a.splat").read_bytes(), layout)
    centres = turned(gaussians.means.numpy(), VIEWER)
    order = paired(read["position"], centres)
    assert np.array_equal(read["position"][order], centres)
    colours = 255 * (0.5 + SH_C0 * gaussians.sh0[:, 0].numpy())
    assert np.abs(read["rgba"][order, :3] - colours.clip(0, 255)).max() <= 1
    opacities = 255 / (1 + np.exp(-gaussians.logit_opacities.numpy()))
    assert np.abs(read["rgba"][order, 3] - opacities).max() <= 1


def ball() -> Gaussians:
    """Red in front (+x), green behind."""
    index = torch.arange(600) + 0.5
    z, turn = 1 - 2 * index / 600, math.pi * (1 + 5**0.5) * index
    flat = (1 - z**2).sqrt()
    normals = torch.stack([flat * turn.cos(), flat * turn.sin(), z], dim=1)
    front = (normals[:, :1] > 0).float()
    colours = torch.cat([front, 1 - front, torch.zeros(600, 1)], dim=1)
    return Gaussians.from_points(0.3 * normals, colours, normals=normals, opacity=0.95)


def test_pictures_begin_at_the_front_and_are_clear_around_the_object(tmp_path: Path) -> None:
    write_pngs(pictures_along(ball(), PATH), tmp_path / "pictures")
    read = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "pictures").glob("*.png"))]
    assert len(read) == 4 and all(picture.shape == (64, 64, 4) for picture in read)
    assert read[0][32, 32, 3] > 200 and read[0][2, 2, 3] == 0
    assert read[0][32, 32, 0] > 200 > read[0][32, 32, 1]
    assert read[2][32, 32, 1] > 200 > read[2][32, 32, 0]


def test_the_gif_turns_for_ever_over_white(tmp_path: Path) -> None:
    write_gif(pictures_along(ball(), PATH), tmp_path / "turn.gif", PATH.fps)
    with Image.open(tmp_path / "turn.gif") as read:
        assert (read.n_frames, read.info["loop"], read.info["duration"]) == (4, 0, 100)
        assert min(read.convert("RGB").getpixel((2, 2))) > 250


def test_the_video_shows_the_same_turn(tmp_path: Path) -> None:
    pictures = pictures_along(ball(), PATH)
    write_video(pictures, tmp_path / "turn.mp4", PATH.fps)
    reader = imageio_ffmpeg.read_frames(tmp_path / "turn.mp4")
    told = next(reader)
    assert (told["size"], told["fps"]) == ((PATH.size, PATH.size), PATH.fps)
    frames = [np.frombuffer(frame, np.uint8).reshape(PATH.size, PATH.size, 3) for frame in reader]
    assert len(frames) == PATH.frames
    for frame, picture in zip(frames, pictures, strict=True):
        white = Image.new("RGBA", picture.size, "white")
        expected = np.asarray(Image.alpha_composite(white, picture).convert("RGB"), dtype=float)
        assert np.abs(frame - expected).mean() < 8  # the codec loses a little, most at edges of colour


def test_a_video_of_odd_size_is_refused() -> None:
    mesh = {
        "resolution": 32,
        "level": 0.1,
        "outline": 0.0,
        "smallest_part": 0.0,
        "faces": 100,
        "texture_size": 64,
        "baking_size": 32,
    }
    odd = PATH.model_dump() | {"size": 65}
    assert ExportParameters.model_validate({"formats": ["gif"], "mesh": mesh, "path": odd})
    with pytest.raises(ValidationError, match=r"even path\.size for mp4, but it is 65"):
        ExportParameters.model_validate({"formats": ["gif", "mp4"], "mesh": mesh, "path": odd})
