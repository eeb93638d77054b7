"""Sessions of the real project, in this process, with all artifacts in a temporary folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def project() -> Path:
    """The repository as a configured Kedro project."""
    bootstrap_project(REPOSITORY)
    return REPOSITORY


@pytest.fixture(scope="session")
def session_in(project: Path) -> Callable[..., KedroSession]:
    """Make a session whose artifacts are under `folder / "data"`: `session_in(folder, prompt="a cat")`."""

    def create(folder: Path, env: str = "test", **parameters: Any) -> KedroSession:
        return KedroSession.create(
            project_path=folder,
            conf_source=str(project / "conf"),
            env=env,
            runtime_params=parameters,
            save_on_close=False,
        )

    return create


@pytest.fixture
def session(
    session_in: Callable[..., KedroSession], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., KedroSession]:
    """Make a session: `session(env="test", prompt="a cat")`; its artifacts are under `tmp_path / "data"`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(project / "models")

    def create(env: str = "test", **parameters: Any) -> KedroSession:
        return session_in(tmp_path, env, **parameters)

    return create
