"""What a run says last."""

import logging
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from placid_kedro.app.page_hook import PageHooks
from placid_kedro.datasets import PageDataset, TextDataset


@pytest.mark.parametrize("is_written", [True, False])
def test_a_page_that_was_written_is_named_with_its_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_written: bool
) -> None:
    page = PageDataset(filepath=str(tmp_path / "a-cat" / "viewer.html"))
    text = TextDataset(filepath=str(tmp_path / "a-cat" / "notes.txt"))
    catalog = DataCatalog({"page": page, "notes": text, "nothing": MemoryDataset()})
    nodes = [node(lambda value: value, "nothing", name, name=name) for name in ("page", "notes")]
    text.save("a note")
    if is_written:
        page.save("<p>a page</p>")
    with caplog.at_level(logging.INFO, "placid_kedro.run"):
        PageHooks().after_pipeline_run(Pipeline(nodes), catalog)
    said = [record.getMessage() for record in caplog.records]
    expected = [
        f"the object is in {tmp_path / 'a-cat'}",
        f"look at it: open {tmp_path / 'a-cat' / 'viewer.html'} in a web browser",
    ]
    assert said == (expected if is_written else [])


def test_the_preview_of_a_page_is_short(tmp_path: Path) -> None:
    page = PageDataset(filepath=str(tmp_path / "viewer.html"))
    page.save("x" * 5000)
    assert len(str(page.preview())) < 500
    assert '"bytes": 5000' in str(page.preview())
