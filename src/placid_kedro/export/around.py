"""The cameras from which an object is looked at to be exported."""

from __future__ import annotations

from placid_kedro.cameras import Cameras, focal_from_fov, orbit

_RINGS_DEG = (-50.0, -10.0, 30.0, 70.0)
_AZIMUTHS = 8
_DISTANCE, _FIELD_OF_VIEW_DEG = 1.6, 50.0


def all_round(size: int) -> Cameras:
    """32 views of `size` pixels along an edge: from below, the side and above."""
    azimuths = [360.0 * index / _AZIMUTHS for index in range(_AZIMUTHS)] * len(_RINGS_DEG)
    elevations = [elevation for elevation in _RINGS_DEG for _ in range(_AZIMUTHS)]
    return orbit(azimuths, elevations, _DISTANCE, focal_from_fov(_FIELD_OF_VIEW_DEG, size), size)
