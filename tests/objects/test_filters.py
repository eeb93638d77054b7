"""Rules on captions, lists, renders and scores; the finished set and its card."""

import json
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from placid_kedro.cameras import orbit
from placid_kedro.errors import DataError, ParameterError
from placid_kedro.files import is_finished, new_folder
from placid_kedro.objects.config import FilterParameters
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.filters import LGM_STOP_WORDS, filter_objects
from placid_kedro.objects.render_stage import views_name
from placid_kedro.objects.table import ObjectRecord, count_by_reason, to_table
from placid_kedro.objects.training_set import TrainingSet, data_card, reasons_figure
from placid_kedro.objects.views import write_views
from placid_kedro.rejections import Reason
from placid_kedro.rendering import Render

GOOD = {
    "faces": 500,
    "textures": 1,
    "is_colored": True,
    "color_deviation": 0.2,
    "coverage": 0.1,
    "extent": 0.5,
    "border": 0.0,
}


def rendered(captions: dict[str, str], **changed: object) -> pd.DataFrame:
    """A table as the render stage leaves it."""
    table = to_table(
        ObjectRecord(uid, "folder", caption=text, licence="CC BY") for uid, text in captions.items()
    )
    table["views"] = [views_name(uid) for uid in table["uid"]]
    for name, value in (GOOD | changed).items():
        table[name] = value
    return table


@pytest.fixture
def no_score(filter_parameters: FilterParameters) -> FilterParameters:
    return filter_parameters


def reason_of(table: pd.DataFrame, parameters: FilterParameters) -> str:
    return str(filter_objects(table, Path(), parameters)["reason"].iloc[0])


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("a chair", ""),
        ("a chair, red, wooden, old", ""),
        ("a chair, red, wooden, old, used", Reason.TOO_MANY_COMMAS),
        ("A Flying saucer", Reason.STOP_WORD),
        ("wallet", Reason.STOP_WORD),  # the rule looks anywhere, as LGM's does
        ("", ""),
    ],
)
def test_lgm_rule(no_score: FilterParameters, caption: str, reason: str) -> None:
    assert len(set(LGM_STOP_WORDS)) == 36
    assert reason_of(rendered({"a": caption}), no_score) == reason


def test_stop_words_of_a_list(no_score: FilterParameters, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("c++\nchair\n")
    rule = no_score.captions.model_copy(update={"stop_words": str(tmp_path / "words.txt")})
    parameters = no_score.model_copy(update={"captions": rule})
    result = filter_objects(rendered({"a": "learn C++", "b": "a chair", "c": "flying"}), Path(), parameters)
    assert list(result["reason"]) == [Reason.STOP_WORD, Reason.STOP_WORD, ""]


def test_lists_of_uids(no_score: FilterParameters, tmp_path: Path) -> None:
    (tmp_path / "keep.csv").write_text("000-000,a\n000-000,b\n")
    (tmp_path / "out.csv").write_text("b\n")
    parameters = no_score.model_copy(
        update={"keep_list": str(tmp_path / "keep.csv"), "reject_list": str(tmp_path / "out.csv")}
    )
    result = filter_objects(rendered({"a": "x", "b": "x", "c": "x"}), Path(), parameters)
    assert list(result["reason"]) == ["", Reason.LISTED_OUT, Reason.LISTED_OUT]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"coverage": 0.0}, Reason.EMPTY_MASK),
        ({"extent": 0.6}, Reason.OUT_OF_CUBE),
        ({"faces": 4}, Reason.TOO_FEW_FACES),
        ({"is_colored": False}, Reason.NO_COLOR),
        ({"color_deviation": 0.001}, Reason.FLAT_COLOR),
        ({}, ""),
    ],
)
def test_what_the_renders_tell(no_score: FilterParameters, changed: dict, reason: str) -> None:
    assert reason_of(rendered({"a": "x"}, **changed), no_score) == reason


class MeanRed:
    """A scorer of which the truth is known."""

    def score(self, images: torch.Tensor, text: str) -> float:
        assert images.shape[1:] == (3, 8, 8)
        return float(images[:, 0].mean())


@pytest.fixture
def views(tmp_path: Path) -> Path:
    """Views of four objects; object k shows level 60 k on its left half and nothing on its right."""
    folder = tmp_path / "views"
    cameras = orbit(torch.arange(8) * 45.0, 30.0, 1.5, 9.0, 8)
    for number, uid in enumerate("abcd"):
        rgba = np.zeros((8, 8, 8, 4), np.uint8)
        rgba[:, :, :4] = (60 * number, 0, 0, 255)
        write_views(folder / views_name(uid), cameras, Render(rgba, np.ones((8, 8, 8), np.float32)))
    return folder


def test_the_rule_on_scores(filter_parameters: FilterParameters, views: Path) -> None:
    rule = filter_parameters.score.model_copy(update={"enabled": True, "minimum": 0.7, "views": 3})
    parameters = filter_parameters.model_copy(update={"score": rule})
    table = rendered({"a": "x", "b": "x", "c": "", "d": "x"})
    result = filter_objects(table, views, parameters, MeanRed())
    assert list(result["reason"]) == [Reason.LOW_SCORE, Reason.LOW_SCORE, Reason.NO_CAPTION, ""]
    # Half of each image is white.
    np.testing.assert_allclose(result["score"].dropna(), [0.5, 0.5 + 30 / 255, 0.5 + 90 / 255], atol=1e-6)
    assert result["score"].isna().tolist() == [False, False, True, False]
    with pytest.raises(ParameterError, match="no scorer"):
        filter_objects(table, views, parameters)


def training_set(table: pd.DataFrame, views: Path) -> TrainingSet:
    return TrainingSet(table, views, {"seed": 3}, sheet_objects=3)


def test_the_finished_set_is_read_back(
    views: Path, tmp_path: Path, filter_parameters: FilterParameters
) -> None:
    table = filter_objects(
        rendered({"a": "x", "b": "a wall", "c": "red, thing", "d": "z"}), views, filter_parameters
    )
    with new_folder(tmp_path / "set") as folder:
        training_set(table, views).save_pretrained(folder)
    assert is_finished(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    objects = RenderedObjects.open(tmp_path / "elsewhere")
    assert objects.uids == ("a", "c", "d")
    assert objects.captions == ("x", "red, thing", "z")
    assert objects.read(1, [0]).rgba[0, 0, 0, 0] == pytest.approx(120 / 255)
    assert objects[2].rgba.shape == (8, 4, 8, 8)
    batches = torch.utils.data.DataLoader(objects, batch_size=2, collate_fn=list)
    assert [[item.uid for item in batch] for batch in batches] == [["a", "c"], ["d"]]
    with Image.open(tmp_path / "elsewhere/contact_sheet.png") as sheet:
        assert sheet.size == (3 * 128, 128)
    card = (tmp_path / "elsewhere/README.md").read_text()
    assert "3 of 4 objects" in card
    assert "| stop_word | 1 |" in card
    assert json.loads((tmp_path / "elsewhere/provenance.json").read_text())["seed"] == 3


def test_a_thousand_objects_need_no_open_files_and_no_memory(views: Path) -> None:
    table = rendered(dict.fromkeys(map(str, range(1000)), "x"))
    table["views"] = [views_name("abcd"[number % 4]) for number in range(1000)]
    objects = RenderedObjects(table, views)
    before = len(list(Path("/proc/self/fd").iterdir()))
    # A tensor lives as long as somebody holds it: the data set holds none.
    seen = [weakref.ref(objects.read(index, [0]).rgba) for index in range(len(objects))]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(seen) == 1000
    assert not any(reference() is not None for reference in seen)


def test_a_set_without_objects_is_an_error(views: Path, tmp_path: Path) -> None:
    table = rendered({"a": "x"})
    with pytest.raises(DataError, match="1 crashed"):
        RenderedObjects(table.assign(reason="crashed"), views)
    with pytest.raises(DataError, match="syncdreamer_render"):
        RenderedObjects(table.drop(columns="views"), views)
    with pytest.raises(DataError, match="no training set"):
        RenderedObjects.open(tmp_path)


def test_the_card_names_whom_licences_want_named() -> None:
    table = rendered({"a": "x", "b": "y"}).assign(attribution=["Ann | Co", ""], category=["chair", ""])
    card = data_card(table, {"seed": 0})
    assert "| folder | CC BY | 2 | Ann \\| Co |" in card
    assert "| chair | 1 |" in card


def test_the_chart_shows_the_counts() -> None:
    table = rendered({"a": "x", "b": "x", "c": "x"}).assign(reason=["", "crashed", ""])
    (bars,) = reasons_figure(table).data
    assert dict(zip(bars.y, bars.x, strict=True)) == count_by_reason(table) == {"accepted": 2, "crashed": 1}
