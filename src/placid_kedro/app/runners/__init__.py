"""Kedro runner of the project, and the stamps it looks at."""

from placid_kedro.app.runners.stamped import StampedRunner
from placid_kedro.app.runners.stamps import Stamps

__all__ = ["StampedRunner", "Stamps"]
