"""Checks before the work."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from placid_kedro.app.preflight import (
    check_device,
    check_disk,
    check_init,
    check_kernels,
    check_multiview,
    check_runner,
)
from placid_kedro.config import InitParameters, MultiviewParameters
from placid_kedro.errors import DataError, ParameterError, ResourceError
from placid_kedro.files import MANIFEST, verify_folder
from placid_kedro.surface.config import FileSource


def test_a_missing_gpu_is_named() -> None:
    check_device("auto")
    check_device("cpu")
    with pytest.raises(ResourceError, match="'cuda:99' was asked for"):
        check_device("cuda:99")
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="no GPU"):
            check_device("cuda")


def test_a_place_for_kernels_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba looks where a function is decorated: in NUMBA_CACHE_DIR, beside the code, in the home folder's cache."""
    check_kernels()
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    monkeypatch.setattr("numba.core.config.CACHE_LOCATOR_CLASSES", "", raising=False)
    name = "placid_kedro.splats.cpu.projection"
    module = sys.modules.pop(name)
    monkeypatch.delattr("placid_kedro.splats.cpu.projection")
    try:
        with pytest.raises(ResourceError, match="set NUMBA_CACHE_DIR to a folder that can"):
            check_kernels()
    finally:
        sys.modules[name] = module


def test_disk_space_and_permission(tmp_path: Path) -> None:
    check_disk(tmp_path / "not" / "there" / "yet", 1.0)
    with pytest.raises(ResourceError, match="MiB are free"):
        check_disk(tmp_path, 1e12)
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        check_disk(tmp_path / "file" / "below", 1.0)


def test_a_folder_that_is_for_reading_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the code was installed by somebody else; whoever runs the tests may write everywhere."""
    monkeypatch.setattr("os.access", lambda path, mode: not (path == tmp_path and mode & os.W_OK))
    with pytest.raises(ResourceError, match=r"cannot be written; .* in a folder of your own that holds"):
        check_disk(tmp_path / "data", 1.0)


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
        check_init(InitParameters(source=source, points=10, opacity=0.5, thickness=0.3), "paper")


def test_the_models_that_ship_are_as_they_were_made() -> None:
    root = Path(__file__).parents[2] / "models"
    folders = [path for path in root.iterdir() if path.is_dir()]
    assert {path.name for path in folders} >= {"text_to_image", "zero123", "latent_plane", "scorer"}
    for folder in folders:
        verify_folder(folder)
        listed = json.loads((folder / MANIFEST).read_text())["files"]
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == {*listed, MANIFEST}


@pytest.mark.parametrize("name", ["ThreadRunner", "ParallelRunner"])
def test_runners_that_lose_metrics_are_refused(name: str) -> None:
    import kedro.runner

    with pytest.raises(ParameterError, match=f"The {name} does several stages at a time"):
        check_runner(str(getattr(kedro.runner, name)()))
    check_runner(str(kedro.runner.SequentialRunner()))
    check_runner("None")


def test_mvdream_wants_its_number_of_views() -> None:
    values = {
        "front": "drawn",
        "elevation_deg": 15.0,
        "lower_ring": None,
        "distance": 1.5,
        "field_of_view_deg": 49.13,
        "steps": 2,
        "guidance_scale": 7.5,
        "plane_preset": "none",
        "block_size": 8192,
        "density_resolution": 8,
    }
    for source, views in (("mvdream", 4), ("zero123", 8)):
        check_multiview(
            MultiviewParameters.model_validate({**values, "source": {"kind": source}, "views": views})
        )
    eight = MultiviewParameters.model_validate({**values, "source": {"kind": "mvdream"}, "views": 8})
    with pytest.raises(
        ParameterError, match=r"MVDream draws 4 views .* multiview\.views is 8; take --params"
    ):
        check_multiview(eight)
