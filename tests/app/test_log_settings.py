"""The same few lines wherever a run starts."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from placid_kedro.app.log_settings import CONFIGURATION, configure_logging


@pytest.fixture(autouse=True)
def levels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A folder without configuration, and loggers as Kedro's own default leaves them."""
    monkeypatch.delenv("KEDRO_LOGGING_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    root, kedro = logging.getLogger(), logging.getLogger("kedro")
    before, handlers = (root.level, kedro.level), list(root.handlers)
    kedro.setLevel(logging.INFO)
    yield
    root.setLevel(before[0])
    kedro.setLevel(before[1])
    root.handlers[:] = handlers


def test_a_folder_without_configuration_gets_the_packages(tmp_path: Path) -> None:
    configure_logging()
    assert logging.getLogger("kedro").level == logging.WARNING
    assert logging.getLogger("placid_kedro").level == logging.INFO


@pytest.mark.parametrize("by_environment", [False, True])
def test_the_users_own_configuration_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    own = tmp_path / "conf" / "logging.yml"
    own.parent.mkdir()
    own.write_text("version: 1\n")
    if by_environment:
        monkeypatch.setenv("KEDRO_LOGGING_CONFIG", str(own))
        monkeypatch.chdir("/")
    configure_logging()
    assert logging.getLogger("kedro").level == logging.INFO


def test_the_projects_file_says_the_same() -> None:
    # Kedro's own commands read it before they import the package.
    assert (Path(__file__).parents[2] / "conf" / "logging.yml").read_text() == CONFIGURATION.read_text()
