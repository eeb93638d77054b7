"""An object beside the real one of its prompt: which one, how near, and why not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from trimesh import Trimesh
from trimesh.creation import box, icosphere

from placid_kedro.errors import DataError
from placid_kedro.evaluation.truth import (
    NOT_COMPARED,
    FolderObjects,
    NoRealObjects,
    compare,
    comparison_table,
)
from placid_kedro.splats import Gaussians


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A flat box and a ball, both called lamps in the csv."""
    (tmp_path / "meshes").mkdir()
    box((1.0, 0.2, 0.5)).export(tmp_path / "meshes/flat_lamp.glb")
    icosphere(radius=0.5).export(tmp_path / "meshes/Ball.glb")
    (tmp_path / "captions.csv").write_text("file,caption\nflat_lamp.glb,a lamp\nBall.glb,A lamp\n")
    return tmp_path / "meshes"


def surface(shape: Trimesh) -> Gaussians:
    points, faces = shape.sample(3000, return_index=True, seed=0)
    normals = torch.tensor(shape.face_normals[faces]).float()
    return Gaussians.from_points(
        torch.tensor(np.asarray(points)).float(), torch.full((3000, 3), 0.6), normals=normals, opacity=0.95
    )


def test_the_name_of_a_file_is_its_prompt(folder: Path) -> None:
    ball = surface(icosphere(radius=0.5))
    comparison = compare(ball, "a ball", FolderObjects(str(folder)))
    assert comparison.truth == "Ball"
    assert comparison.scores is not None
    # Half of each Gaussian lies outside of the ball.
    assert comparison.scores.silhouette_iou > 0.85
    assert comparison.scores.chamfer < 0.02


def test_of_two_of_one_name_the_nearest_is_the_truth(folder: Path) -> None:
    objects = FolderObjects(str(folder), str(folder.parent / "captions.csv"))
    assert set(objects.meant_by("The Lamp")) == {"flat_lamp", "Ball"}
    assert compare(surface(icosphere(radius=0.5)), "a lamp", objects).truth == "Ball"
    # Files are y up, the world is z up.
    assert compare(surface(box((0.5, 1.0, 0.2))), "a lamp", objects).truth == "flat_lamp"


def test_what_is_not_compared_says_why(folder: Path) -> None:
    objects = FolderObjects(str(folder))
    ball = surface(icosphere(radius=0.5))
    (folder / "broken.glb").write_bytes(b"no mesh")
    unseen = Gaussians.from_points(torch.rand(9, 3) - 0.5, torch.rand(9, 3), opacity=1e-3)
    for gaussians, prompt, source, said in (
        (None, "a ball", objects, "the object is missing"),
        (ball, "a cat", objects, "has the caption 'a cat'"),
        (ball, "broken", FolderObjects(str(folder)), "broken"),
        (unseen, "a ball", objects, "cannot be seen"),
        (ball, "a ball", NoRealObjects(), "'none'"),
    ):
        comparison = compare(gaussians, prompt, source)
        assert comparison.scores is None
        assert comparison.truth.startswith(NOT_COMPARED) and said in comparison.truth
        assert "\n" not in comparison.truth


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder .*truth\.folder"):
        FolderObjects(str(tmp_path / "nowhere"))


def test_the_table_counts_what_was_not_compared_and_why() -> None:
    none = f"{NOT_COMPARED}the object is missing."
    text = comparison_table({"geometry.chamfer": 0.0414}, ["Ball", none, none])
    assert text.startswith("Beside real objects: 1 of 3.\n")
    assert "| geometry.chamfer | 0.041 |" in text
    assert text.endswith(f"- 2 {none}\n")
    assert "|" not in comparison_table({}, [none])
