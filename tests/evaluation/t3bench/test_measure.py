"""The whole protocol on objects whose scores are known beforehand."""

import io
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from placid_kedro.evaluation.t3bench.interfaces import Rating
from placid_kedro.evaluation.t3bench.measure import Scorers, Sizes, measure
from placid_kedro.evaluation.t3bench.protocols import FIELDS_OF_VIEW_DEG, PROTOCOLS
from placid_kedro.evaluation.t3bench.subjects import MeshSubject, SplatSubject
from placid_kedro.rendering import Mesh, painted_part
from placid_kedro.rendering.mesh import merge_parts
from placid_kedro.splats import Gaussians

SIZES = Sizes(subdivisions=0, image_size=24, background="black", thumbnail=12)


class Brightness:
    """Rewards an image by its mean."""

    name, suffix = "brightness", "_brightness"

    def rewards(self, images: torch.Tensor, prompt: str) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3))


class Shade:
    """Says whether an image is dark."""

    name, suffix = "shade", ""

    def captions(self, images: torch.Tensor, seed: int) -> list[str]:
        return [f"dark {seed}" if float(image.max()) < 0.01 else "bright" for image in images]


class Counting:
    """Rates by how many captions of twelve are bright."""

    name, suffix = "counting", ""

    def merge(self, captions: list[str]) -> str:
        return str(captions.count("bright"))

    def rate(self, prompt: str, caption: str) -> Rating:
        return Rating(5 if caption == "12" else 1, f"{prompt}: {caption}")


ALL = Scorers(Brightness(), Shade(), Counting())


def white_ball() -> Gaussians:
    points = (
        torch.nn.functional.normalize(torch.randn(400, 3, generator=torch.Generator().manual_seed(0)), dim=1)
        * 0.4
    )
    return Gaussians.from_points(points, torch.ones(400, 3), opacity=0.95)


def run(subject: Any, scorers: Scorers = ALL, protocol: str = "paper", sizes: Sizes = SIZES) -> Any:
    return measure(subject, "a ball", scorers, PROTOCOLS[protocol], sizes, half_edge=0.5, seed=7)


def test_a_white_ball_is_bright_from_every_side() -> None:
    measured = run(SplatSubject(white_ball()))
    table = measured.table()
    images = table[table.step == "image"]
    assert len(images) == 12 * 5 and set(images.field_of_view_deg) == set(FIELDS_OF_VIEW_DEG)
    # At distance 1.1 a ball of radius 0.4 is seen under 43 degrees: it fills the images of 30 degrees and less.
    by_field = images.groupby("field_of_view_deg").value.mean()
    assert (
        by_field.loc[60.0] < by_field.loc[45.0] < by_field.loc[36.0]
        and by_field.loc[[24.0, 30.0]].min() > 0.99
    )
    # So the best field of view is the narrowest from every pose, and smoothing equal values changes little.
    best = images.groupby("pose").value.max()
    assert measured.scores["quality_raw_brightness"] == pytest.approx(best.mean(), abs=0.03)
    assert measured.scores["quality_brightness"] == pytest.approx(
        20 * measured.scores["quality_raw_brightness"] + 50
    )
    assert (measured.scores["alignment"], measured.scores["alignment_rating"]) == (100, 5)
    assert "quality" not in measured.scores
    assert (measured.caption, measured.missing) == ("12", False)


def test_the_table_explains_the_scores() -> None:
    table = run(SplatSubject(white_ball())).table()
    assert table.step.value_counts().to_dict() == {
        "image": 60,
        "pose": 12,
        "caption": 12,
        "merged": 1,
        "judged": 1,
    }
    assert table[table.step == "judged"].text.item() == "a ball: 12"
    np.testing.assert_allclose(np.linalg.norm(table[["x", "y", "z"]].dropna().to_numpy(), axis=1), 1)
    for row in table[table.step == "image"].itertuples():
        with Image.open(io.BytesIO(row.image)) as image:
            assert image.size == (12, 12)
            assert np.asarray(image).mean() / 255 == pytest.approx(row.value, abs=0.06)


def nothing() -> list[Any]:
    unseen = Gaussians.from_points(torch.rand(30, 3) - 0.5, torch.ones(30, 3), opacity=1e-5)
    empty = Gaussians(*(tensor[:0] for tensor in vars(white_ball()).values()))
    return [None, SplatSubject(unseen), SplatSubject(empty)]


@pytest.mark.parametrize("subject", nothing(), ids=["missing", "unseen", "empty"])
def test_what_cannot_be_seen_counts_as_the_protocol_says(subject: Any) -> None:
    paper, official = run(subject), run(subject, protocol="official")
    assert paper.missing and official.missing
    assert paper.scores["quality_brightness"] == 0  # the paper's variant
    assert official.scores["quality_brightness"] == pytest.approx(50)  # black images: a reward of 0 here
    for measured in (paper, official):
        assert measured.scores["alignment"] == 0
        captions = measured.table().query("step == 'caption'").text
        assert set(captions) == {"dark 7"} and len(captions) == 12


def test_only_what_has_a_scorer_is_measured() -> None:
    measured = run(SplatSubject(white_ball()), Scorers(Brightness(), None, None))
    assert (
        set(measured.scores) == {"quality_brightness", "quality_raw_brightness"} and measured.caption is None
    )
    nobody = run(SplatSubject(white_ball()), Scorers(None, None, None))
    assert nobody.scores == {} and len(nobody.table()) == 0
    assert Scorers(None, Shade(), Counting()).names() == {
        "quality": "not measured",
        "captions": "shade",
        "judge": "counting",
    }


def test_a_stand_in_for_either_part_marks_the_alignment() -> None:
    class StandIn(Counting):
        suffix = "_embedded"

    assert set(run(None, Scorers(None, Shade(), StandIn())).scores) == {
        "alignment_embedded",
        "alignment_rating_embedded",
    }


def cube(shift: float = 0.0, scale: float = 1.0) -> Mesh:
    box = trimesh.creation.box()
    box.visual = trimesh.visual.ColorVisuals(box, vertex_colors=np.full((8, 4), 255, np.uint8))
    box.apply_scale(scale)
    box.apply_translation([shift] * 3)
    return merge_parts([painted_part(box)], "cube")


def test_the_official_protocol_sees_no_difference_of_place_and_size() -> None:
    here, there = (
        run(MeshSubject(cube(*where)), protocol="official").scores for where in ((0.0, 1.0), (3.0, 0.2))
    )
    assert here["quality_raw_brightness"] == pytest.approx(there["quality_raw_brightness"], abs=0.01)
