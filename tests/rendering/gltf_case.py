"""What several tests of glTF files put into them."""

from pathlib import Path
from typing import Any

import numpy as np

from placid_kedro.rendering import MeshLimits, load_parts

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], "<f4")
HALF = np.sqrt(0.5)


def points(path: Path) -> np.ndarray:
    """All vertices of a file in its own axes."""
    return np.concatenate([part.vertices for part in load_parts(path, MeshLimits())])


def skin(file: Any, **extra: Any) -> None:
    """Two joints: one raised by 10, one turned by 90 degrees about z; the lower corners follow the first."""
    file.tree["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [100, 100, 100]},
        {"translation": [0, 10, 0], "children": [2]},
        {"translation": [0, -10, 0], "rotation": [0, 0, HALF, HALF]},
    ]
    file.tree["scenes"] = [{"nodes": [0, 1]}]
    file.add("skins", {"joints": [1, 2]} | extra)
    file.attribute("JOINTS_0", np.array([[0, 1, 0, 0]] * 4, "<u1"))
