"""The page over a folder of objects."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from placid_kedro.errors import DataError
from placid_kedro.viewer.gallery import gallery_page

from .conftest import Shown


class Links(HTMLParser):
    """Targets of links and images, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.places += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def finished(root: Path, name: str, shown: Shown) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "viewer.html").write_text("a page")
    (root / name / "reference.png").write_bytes(b"a picture")
    (root / name / "report.json").write_text(shown.report.model_dump_json())


def test_every_object_has_a_link_that_leads_somewhere(tmp_path: Path, shown: Shown) -> None:
    finished(tmp_path, "a hat #1", shown.named("<b>a hat</b>"))
    finished(tmp_path, "a-cactus", shown.named("a cactus"))
    finished(tmp_path, "sweep/lam_5/a-cactus", shown.named("a cactus"))
    (tmp_path / "distill_2d").mkdir()
    links = Links(gallery_page(tmp_path))
    assert len(links.places) == 6
    assert all((tmp_path / unquote(place)).is_file() for place in links.places)
    assert "<b>a hat</b>" in links.text and "a cactus" in links.text
    assert "rank 2 of 113" in links.text and "sweep/lam_5, seed 3" in links.text


def test_a_folder_without_objects_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no object's viewer\.html"):
        gallery_page(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        gallery_page(tmp_path / "nowhere")


def test_a_damaged_report_is_named(tmp_path: Path, shown: Shown) -> None:
    finished(tmp_path, "a-cactus", shown)
    (tmp_path / "a-cactus" / "report.json").write_text("{")
    with pytest.raises(DataError, match=r"a-cactus/report\.json is missing or damaged"):
        gallery_page(tmp_path)
