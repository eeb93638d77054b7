"""Nothing is sent to anyone by a command of the project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDER = """
import pathlib
import requests


def post(*arguments, **named):
    pathlib.Path({path!r}).write_text(repr(arguments))
    raise requests.exceptions.ConnectionError


requests.post = post
"""


def test_a_project_without_the_file_telemetry_sends_nothing(tmp_path: Path) -> None:
    """Kedro's plugin asks whether it may; a copy of pyproject.toml and conf/ alone has not said no."""
    project, patched, sent = tmp_path / "project", tmp_path / "patched", tmp_path / "sent"
    project.mkdir()
    patched.mkdir()
    shutil.copy(ROOT / "pyproject.toml", project)
    (project / "src").mkdir()
    (patched / "sitecustomize.py").write_text(RECORDER.format(path=str(sent)))
    # The plugin stays silent where one of these is set.
    silent = ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY", "GITHUB_REPOSITORY_OWNER")
    environment = {name: value for name, value in os.environ.items() if name not in silent}
    subprocess.run(
        [sys.executable, "-m", "kedro", "registry", "list"],
        cwd=project,
        env={**environment, "PYTHONPATH": f"{patched}:{ROOT / 'src'}"},
        check=True,
        timeout=120,
    )
    assert not sent.exists()
