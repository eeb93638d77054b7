"""What is written to a terminal, wherever a run starts: in the project, below it, in a notebook, from a wheel."""

import os
from pathlib import Path

import yaml
from kedro.framework.project import LOGGING

CONFIGURATION = Path(__file__).parents[1] / "logging.yml"
_OF_THE_FOLDER = ("conf/logging.yml", "conf/logging.yaml")


def configure_logging() -> None:
    """Take the package's logging configuration, unless the user has one.

    Kedro has looked by now: at the file that the environment variable `KEDRO_LOGGING_CONFIG` names, and for
    `conf/logging.yml` in the working directory, where the project has the same. Those stay.
    """
    if not os.environ.get("KEDRO_LOGGING_CONFIG") and not any(Path(name).exists() for name in _OF_THE_FOLDER):
        LOGGING.configure(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")))
