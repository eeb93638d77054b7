"""The pipeline `export` on a ball: every format that is wanted, and no other."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kedro.framework.session import KedroSession

from placid_kedro.errors import PlacidError
from placid_kedro.splats import Gaussians, save_ply

GIVEN = {"prompt": "a ball", "tracking": {"enabled": False}}


def ball(opacity: float) -> Gaussians:
    """Discs on a sphere of radius 0.3."""
    index = torch.arange(400) + 0.5
    z, turn = 1 - 2 * index / 400, math.pi * (1 + 5**0.5) * index
    flat = (1 - z**2).sqrt()
    normals = torch.stack([flat * turn.cos(), flat * turn.sin(), z], dim=1)
    return Gaussians.from_points(0.3 * normals, normals / 2 + 0.5, normals=normals, opacity=opacity)


def test_every_format_that_is_wanted_is_in_the_folder(session: Callable[..., KedroSession]) -> None:
    with session(**GIVEN, export={"formats": ["glb", "spz", "png"]}) as running:
        catalog = running.load_context().catalog
        catalog.save("gaussians", ball(0.9))
        running.run(pipeline_names=["export"])
        names = {path.name for path in catalog.load("exports").iterdir()}
    assert names == {"object.glb", "object.spz", "pictures", "manifest.json"}


def test_a_file_of_another_program_is_exported(session: Callable[..., KedroSession], tmp_path: Path) -> None:
    save_ply(ball(0.9).scaled(7.0), tmp_path / "scan.ply")
    given = {**GIVEN, "import_splats": {"file": "scan.ply"}, "export": {"formats": ["splat", "mp4", "html"]}}
    with session(**given) as running:
        running.run(pipeline_names=["import_splats", "export"])
        catalog = running.load_context().catalog
        names = {path.name for path in catalog.load("exports").iterdir()}
        longest = (
            catalog.load("gaussians").means.amax(dim=0) - catalog.load("gaussians").means.amin(dim=0)
        ).max()
    assert names == {"object.splat", "object.html", "turn.mp4", "manifest.json"}
    assert float(longest) == pytest.approx(0.9, rel=0.05)


def test_fog_leaves_no_folder(session: Callable[..., KedroSession]) -> None:
    with session(**GIVEN, export={"formats": ["glb"]}) as running:
        catalog: Any = running.load_context().catalog
        catalog.save("gaussians", ball(0.001))
        with pytest.raises(PlacidError, match=r"lower export\.mesh\.level"):
            running.run(pipeline_names=["export"])
        assert not catalog.exists("exports")
