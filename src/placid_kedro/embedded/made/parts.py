"""Coloured boxes, bars, turned bodies and blobs, put together part by part."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import trimesh
from numpy.typing import NDArray

Point = Sequence[float] | NDArray[np.float64]
Color = tuple[float, float, float]
_SIDES = 12


@dataclass
class Builder:
    """The parts of one object as they are added; lengths are free, +z is up, +x the front, z = 0 the floor.

    Attributes:
        generator: draws everything that is left open.
        parts: what was added, each with a colour at every vertex.
    """

    generator: np.random.Generator
    parts: list[trimesh.Trimesh] = field(default_factory=list)

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly."""
        return float(self.generator.uniform(low, high))

    def wide(self, low: float, high: float) -> float:
        """A positive number whose logarithm is drawn evenly."""
        return float(np.exp(self.generator.uniform(np.log(low), np.log(high))))

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.generator.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True as often as that."""
        return bool(self.generator.random() < probability)

    def color(self) -> Color:
        """A colour as things have them: wood, black, white and metal, paint."""
        kind = self.generator.random()
        if kind < 0.35:
            return _rgb(self.between(0.03, 0.12), self.between(0.25, 0.8), self.between(0.2, 0.9))
        if kind < 0.65:
            return _rgb(self.between(0, 1), self.between(0, 0.08), self.generator.beta(0.6, 0.6))
        return _rgb(self.between(0, 1), self.between(0.3, 1), self.between(0.25, 0.95))

    def green(self) -> Color:
        """A colour of leaves."""
        return _rgb(self.between(0.2, 0.42), self.between(0.3, 0.9), self.between(0.2, 0.75))

    def add(self, part: trimesh.Trimesh, color: Color) -> None:
        """Take a part, with a little unevenness of its colour."""
        noise = self.generator.normal(0, 0.02, (len(part.vertices), 1))
        rgb = np.clip(np.asarray(color) * (1 + noise), 0, 1)
        rgba = np.concatenate([rgb, np.ones((len(rgb), 1))], axis=1)
        part.visual = trimesh.visual.ColorVisuals(
            mesh=part, vertex_colors=(255 * rgba).round().astype(np.uint8)
        )
        self.parts.append(part)

    def box(self, center: Point, size: Point, color: Color) -> None:
        """An upright box."""
        part = trimesh.creation.box(extents=np.maximum(size, 1e-4))
        part.apply_translation(center)
        self.add(part, color)

    def bar(self, start: Point, end: Point, thickness: float, color: Color, *, round_: bool = True) -> None:
        """A round or square bar between two points."""
        a, b = np.asarray(start, float), np.asarray(end, float)
        length = float(np.linalg.norm(b - a))
        if length < 1e-6:
            return
        if round_:
            part = trimesh.creation.cylinder(radius=thickness / 2, height=length, sections=_SIDES)
        else:
            part = trimesh.creation.box(extents=[thickness, thickness, length])
        part.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], (b - a) / length))
        part.apply_translation((a + b) / 2)
        self.add(part, color)

    def turned(
        self, profile: Sequence[tuple[float, float]], base: Point, color: Color, axis: Point = (0, 0, 1)
    ) -> None:
        """A body of revolution about `axis`: radii and heights above `base` from below upwards."""
        line = np.asarray(profile, float)
        part = trimesh.creation.revolve(line, sections=20)
        part.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], axis))
        part.apply_translation(base)
        self.add(part, color)

    def disc(self, center: Point, radius: float, height: float, color: Color) -> None:
        """A lying disc about its centre."""
        self.turned(
            [(0, -height / 2), (radius, -height / 2), (radius, height / 2), (0, height / 2)], center, color
        )

    def blob(
        self, center: Point, radii: Point, color: Color, rotation: NDArray[np.float64] | None = None
    ) -> None:
        """An ellipsoid, turned by a [3, 3] matrix where one is given."""
        part = trimesh.creation.icosphere(subdivisions=2)
        part.apply_scale(np.maximum(radii, 1e-4))
        if rotation is not None:
            matrix = np.eye(4)
            matrix[:3, :3] = rotation
            part.apply_transform(matrix)
        part.apply_translation(center)
        self.add(part, color)

    def cushion(self, center: Point, size: Point, color: Color) -> None:
        """A box with soft edges."""
        half = np.asarray(size) / 2
        part = trimesh.creation.icosphere(subdivisions=3)
        # A superellipsoid: directions pushed towards the faces of the box.
        v = part.vertices
        part.vertices = np.sign(v) * np.abs(v) ** 0.4 * half
        part.apply_translation(center)
        self.add(part, color)

    def loft(self, rings: NDArray[np.float64], color: Color) -> None:
        """A skin over K closed rings of S points, [K, S, 3]; fans cover its ends."""
        sections, around = rings.shape[:2]
        here = np.arange(sections * around).reshape(sections, around)
        there = np.roll(here, -1, axis=1)
        quads = np.stack([here[:-1], there[:-1], there[1:], here[1:]], axis=-1).reshape(-1, 4)
        vertices = np.concatenate([rings.reshape(-1, 3), rings[[0, -1]].mean(axis=1)])
        first, last = np.full((2, around), [[here.size], [here.size + 1]])
        ends = [np.stack([there[0], here[0], first], axis=-1), np.stack([here[-1], there[-1], last], axis=-1)]
        faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]], *ends])
        self.add(trimesh.Trimesh(vertices, faces, process=False), color)

    def tube(self, line: NDArray[np.float64], thickness: float, color: Color) -> None:
        """A round tube along the corners [K, 3] of a line, with balls at its bends."""
        for start, end in itertools.pairwise(line):
            self.bar(start, end, thickness, color)
        for corner in line[1:-1]:
            self.blob(corner, (thickness / 2,) * 3, color)

    def posts(self, depth: float, width: float, height: float, thickness: float, color: Color) -> None:
        """Four square posts on the corners of a rectangle."""
        for x in (-depth / 2, depth / 2):
            for y in (-width / 2, width / 2):
                self.bar((x, y, 0), (x, y, height), thickness, color, round_=False)

    def transform(self, matrix: NDArray[np.float64]) -> None:
        """Move everything so far by a [4, 4] matrix."""
        for part in self.parts:
            part.apply_transform(matrix)

    def turn(self, degrees: float, axis: Point = (0, 0, 1)) -> None:
        """Turn everything so far about an axis through the origin, +z where none is given."""
        self.transform(trimesh.transformations.rotation_matrix(np.deg2rad(degrees), axis))

    def face_any_side(self) -> None:
        """Turn the front of everything so far to +x, +y, -x or -y by chance."""
        self.turn(90 * self.count(0, 3))


def _rgb(hue: float, saturation: float, value: float) -> Color:
    return colorsys.hsv_to_rgb(hue % 1, saturation, float(np.clip(value, 0.03, 0.97)))


def random_rotation(generator: np.random.Generator) -> NDArray[np.float64]:
    """A rotation [3, 3], all alike likely."""
    matrix, upper = np.linalg.qr(generator.normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    if np.linalg.det(matrix) < 0:
        matrix[:, 0] = -matrix[:, 0]
    return matrix
