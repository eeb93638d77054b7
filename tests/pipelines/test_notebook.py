"""The notebooks' cells run: one on a run of the stages that are cheap, one making an object at the smallest sizes."""

import io
import json
from pathlib import Path
from typing import Any

import IPython.display
import pytest
from kedro.framework.session import KedroSession
from PIL import Image

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def cells_of(name: str) -> list[str]:
    """The code of a notebook's cells."""
    cells = json.loads((NOTEBOOKS / name).read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def project_in(folder: Path, project: Path) -> None:
    """A project with the base configuration of this one and nothing in it."""
    (folder / "conf" / "local").mkdir(parents=True)
    (folder / "conf" / "base").symlink_to(project / "conf" / "base")
    (folder / "src").mkdir()
    (folder / "pyproject.toml").write_text((project / "pyproject.toml").read_text())


def test_a_look_at_a_run(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project_in(tmp_path, project)
    monkeypatch.chdir(tmp_path)
    off: dict[str, Any] = {"prompt": "a teddy bear", "tracking": {"enabled": False}}
    with KedroSession.create(tmp_path, runtime_params=off, save_on_close=False) as session:
        session.run(pipeline_names=["generate"], node_names=["prompt.process_prompt"])

    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    names: dict[str, Any] = {}
    for cell in cells_of("look_at_a_run.ipynb"):
        exec(cell, names)
    assert names["prompts"].text == "a teddy bear"
    assert len(names["figure"].data[0].x) == 8
    assert "prompts              there" in capsys.readouterr().out


def test_the_walkthrough_makes_an_object(
    project: Path, tiny_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_in(tmp_path, project)
    (tmp_path / "conf" / "draft").symlink_to(project / "conf" / "test")
    (tmp_path / "models").symlink_to(tiny_models.scorer.parent)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")  # where Jupyter starts it

    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    names: dict[str, Any] = {}
    for cell in cells_of("walkthrough.ipynb"):
        exec(cell, names)
    folder = tmp_path / "data/test/08_reporting/walkthrough/a-teddy-bear"
    assert names["page"] == folder / "viewer.html" and names["page"].is_file()
    assert names["report"].prompt == "a teddy bear"
    assert len(names["norms"]) > 0 and max(names["norms"]) > 0
    pictures = [
        Image.open(io.BytesIO(item.data)) for item in shown if isinstance(item, IPython.display.Image)
    ]
    # Reference, views, density, moments, stills of the turntable.
    assert [picture.size for picture in pictures][0::3] == [(64, 64), (3 * 32, 32)]
    assert len(pictures) == 5
