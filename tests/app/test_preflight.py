"""Checks before the work."""

from pathlib import Path

import pytest
import torch

from placid_kedro.app.preflight import check_device, check_disk
from placid_kedro.errors import ResourceError


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
