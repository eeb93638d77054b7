"""Checks before the work."""

from pathlib import Path

import pytest
import torch

from placid_kedro.app.preflight import check_device, check_disk, check_init
from placid_kedro.config import InitParameters
from placid_kedro.errors import DataError, ResourceError
from placid_kedro.surface.config import FileSource


def test_a_missing_gpu_is_named() -> None:
    check_device("auto")
    check_device("cpu")
    with pytest.raises(ResourceError, match="'cuda:99' was asked for"):
        check_device("cuda:99")
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="no GPU"):
            check_device("cuda")


def test_disk_space_and_permission(tmp_path: Path) -> None:
    check_disk(tmp_path / "not" / "there" / "yet", 1.0)
    with pytest.raises(ResourceError, match="MiB are free"):
        check_disk(tmp_path, 1e12)
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        check_disk(tmp_path / "file" / "below", 1.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no ply", "cannot be read as a point cloud"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
         b"end_header\n0 0 0\n", "coincide"),
    ],
)  # fmt: skip
def test_a_point_cloud_that_cannot_be_used_is_known_before_the_work(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "cloud.ply"
    path.write_bytes(content)
    source = FileSource(path=str(path))
    with pytest.raises(DataError, match=said):
        check_init(InitParameters(source=source, points=10, opacity=0.5))
