"""Objects with other proportions: what a network that is to see the far side of any object learns most from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from placid_kedro.rendering.mesh import FloatArray, Mesh


@dataclass(frozen=True)
class Proportions:
    """How an object's shape is changed.

    Attributes:
        stretch: factors of the three axes.
        taper: the top is so much wider than the middle, the bottom so much narrower, as shares of the width; from the
            axis x = y = 0 of the object's box.
        turn_deg: about +z, counter-clockwise, after that.
    """

    stretch: tuple[float, float, float]
    taper: float
    turn_deg: float


@dataclass(frozen=True)
class ProportionRange:
    """From what proportions are drawn, all uniformly.

    Attributes:
        stretch: largest natural logarithm of an axis's factor, either way.
        taper: largest, either way; below 2, where one end is a point.
        turn_deg: largest, either way.
    """

    stretch: float
    taper: float
    turn_deg: float

    def draw(self, name: str) -> Proportions:
        """The proportions that belong to a name, always the same ones."""
        digest = hashlib.sha256(name.encode()).digest()
        generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        x, y, z = np.exp(generator.uniform(-self.stretch, self.stretch, 3))
        taper = generator.uniform(-self.taper, self.taper)
        turn = generator.uniform(-self.turn_deg, self.turn_deg)
        return Proportions((float(x), float(y), float(z)), float(taper), float(turn))


def deformed(mesh: Mesh, proportions: Proportions) -> Mesh:
    """The mesh with other proportions, again centred in the unit cube with its longest side 1."""
    vertices = mesh.vertices.astype(np.float64) * proportions.stretch
    height = vertices[:, 2]
    above_middle = (height - _middle(height)) / max(float(np.ptp(height)), 1e-9)
    vertices[:, :2] *= (1 + proportions.taper * above_middle)[:, None]
    turn = np.deg2rad(proportions.turn_deg)
    cosine, sine = np.cos(turn), np.sin(turn)
    vertices[:, :2] = vertices[:, :2] @ np.array([[cosine, sine], [-sine, cosine]])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - (low + high) / 2) / max(float((high - low).max()), 1e-9)
    placed: FloatArray = vertices.astype(np.float32)
    return replace(mesh, vertices=placed)


def _middle(values: np.ndarray) -> float:
    return float(values.min() + values.max()) / 2
