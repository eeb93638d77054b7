"""What stands in an object's page, read by an HTML parser, not by a browser."""

from __future__ import annotations

import base64
import gzip
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.errors import DataError
from placid_kedro.splats import load_ply
from placid_kedro.viewer.page import MOST_GAUSSIANS, object_page, splats_page

from .conftest import FIRST_LOOK, Shown, coloured_gaussians

MIB = 2**20


class Elements(HTMLParser):
    """All tags with their attributes, and the text by the element's id or tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag

    def handle_data(self, data: str) -> None:
        self.text[self._open] = self.text.get(self._open, "") + data


def test_the_page_carries_the_object_itself(shown: Shown, tmp_path: Path) -> None:
    elements = Elements(shown.page())
    (tmp_path / "from_page.ply").write_bytes(gzip.decompress(base64.b64decode(elements.text["splats"])))
    again = load_ply(tmp_path / "from_page.ply")
    assert torch.equal(again.means, shown.gaussians.means)
    assert torch.equal(again.sh0, shown.gaussians.sh0)


def test_nothing_is_asked_from_the_network(shown: Shown) -> None:
    elements = Elements(shown.page())
    asked = [
        value
        for _, attributes in elements.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data")
    ]
    assert len(asked) == 1 + 4 + 3
    assert all(value and value.startswith("data:image/png;base64,") for value in asked)
    assert not [tag for tag, _ in elements.tags if tag in ("link", "iframe", "object", "embed")]


def test_html_in_a_prompt_is_text(shown: Shown) -> None:
    prompt = '<script>alert(1)</script> & "a $title" <img src=x onerror=alert(2)>'
    plain, odd = Elements(shown.page()), Elements(shown.named(prompt).page())
    assert odd.text["h1"].strip() == prompt
    assert odd.text["title"].strip() == prompt
    assert [tag for tag, _ in odd.tags] == [tag for tag, _ in plain.tags]
    assert "a <hat>" in odd.text["td"]


def test_fifteen_thousand_gaussians_fit_into_eight_megabytes(shown: Shown) -> None:
    many = Shown(coloured_gaussians(15_000), shown.report)
    assert len(many.page()) < 8 * MIB


@pytest.mark.parametrize("count", [0, MOST_GAUSSIANS + 1])
def test_objects_that_no_page_shows_are_one_sentence(shown: Shown, count: int) -> None:
    one = coloured_gaussians(2)
    fields: dict[str, Any] = {
        name: value[:1].repeat(count, *[1] * (value.ndim - 1)) for name, value in vars(one).items()
    }
    with pytest.raises(DataError, match=f"holds {count} Gaussians"):
        Shown(type(one)(**fields), shown.report).page()


def test_a_page_without_moments_is_refused(shown: Shown) -> None:
    cameras = ring(1, 0.0, 1.5, 50.0, 16)
    views = PosedViews(torch.ones(1, 3, 16, 16), cameras)
    with pytest.raises(DataError, match="one picture of its optimisation"):
        object_page(shown.gaussians, views.images[0], views, [], shown.report, FIRST_LOOK)


def test_splats_of_another_program_have_a_page_of_their_own(shown: Shown, tmp_path: Path) -> None:
    page = splats_page(shown.gaussians, "<b>my scan</b>", FIRST_LOOK)
    elements = Elements(page)
    (tmp_path / "from_page.ply").write_bytes(gzip.decompress(base64.b64decode(elements.text["splats"])))
    assert torch.equal(load_ply(tmp_path / "from_page.ply").means, shown.gaussians.means)
    assert elements.text["title"].strip() == "<b>my scan</b>"
    assert not [tag for tag, _ in elements.tags if tag in ("img", "input", "table")]
    assert "$" not in page.split("<script", 1)[0]
    many = coloured_gaussians(MOST_GAUSSIANS + 1)
    with pytest.raises(DataError, match=f"100001 Gaussians, a page shows 1 to {MOST_GAUSSIANS}"):
        splats_page(many, "a city", FIRST_LOOK)
