"""Kedro runners of the project."""

from placid_kedro.runners.stamped import StampedRunner

__all__ = ["StampedRunner"]
