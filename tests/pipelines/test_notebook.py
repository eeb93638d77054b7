"""The notebook's cells run, on a run of the stages that are cheap."""

import json
from pathlib import Path
from typing import Any

import IPython.display
import pytest
from kedro.framework.session import KedroSession

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "look_at_a_run.ipynb"


def test_cells_run(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf" / "local").mkdir(parents=True)
    (tmp_path / "conf" / "base").symlink_to(project / "conf" / "base")
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    monkeypatch.chdir(tmp_path)
    off: dict[str, Any] = {"prompt": "a teddy bear", "tracking": {"enabled": False}}
    with KedroSession.create(tmp_path, runtime_params=off, save_on_close=False) as session:
        session.run(pipeline_names=["generate"], node_names=["prompt.process_prompt"])

    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["prompts"].text == "a teddy bear"
    assert len(names["figure"].data[0].x) == 8
    assert "prompts              there" in capsys.readouterr().out
