"""Bent tubes, skins over rings and cut-out plates by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from placid_kedro.embedded.made.parts import Builder, Color

_AROUND = 20


def ring(half_width: float, half_height: float, squareness: float) -> NDArray[np.float64]:
    """Points [S, 2] on a superellipse: 1 is an ellipse, towards 0 a rectangle."""
    angle = 2 * np.pi * np.arange(_AROUND) / _AROUND
    c, s = np.cos(angle), np.sin(angle)
    return np.stack(
        [half_width * np.sign(c) * abs(c) ** squareness, half_height * np.sign(s) * abs(s) ** squareness],
        axis=-1,
    )


def bends(make: Builder, extent: tuple[float, float, float], corners: int) -> NDArray[np.float64]:
    """A line [K, 3] of right angles, slants or curves from the floor upwards, within +-x, y > 0 and z of `extent`."""
    low, high = np.array([-extent[0], 0.15 * extent[1], 0.0]), np.array(extent)
    line = make.generator.uniform(low, high, (corners, 3))
    line[0, 2] = 0
    if make.chance(0.5):  # one coordinate at a time
        for k in range(1, corners):
            axis = make.count(0, 2)
            other = np.arange(3) != axis
            line[k, other] = line[k - 1, other]
    if make.chance(0.4):
        fine = np.linspace(0, corners - 1, 6 * corners)
        return np.asarray(PchipInterpolator(np.arange(corners), line)(fine))
    return line


def tubes(make: Builder) -> None:
    """Frames of bent tubes, mirrored, that carry plates, baskets or nothing: tables, racks, trolleys, stands."""
    extent = (make.wide(0.15, 0.8), make.wide(0.1, 0.6), make.wide(0.2, 1.4))
    thickness, color, plate = make.wide(0.012, 0.06), make.color(), make.color()
    line = bends(make, extent, make.count(3, 6))
    mirror = np.array([1.0, -1, 1])
    for side in (line, line * mirror):
        make.tube(side, thickness, color)
    for k in sorted({0, len(line) - 1, make.count(0, len(line) - 1)}):
        if make.chance(0.7):
            make.bar(line[k], line[k] * mirror, thickness, color)
    if make.chance(0.4):  # the same once more, in front
        gap = make.between(0.2, 0.9)
        for side in (line, line * mirror):
            make.tube(side * np.array([-1, 1, 1]) + np.array([gap, 0, 0]), thickness, color)
    high = float(line[:, 2].max())
    for _ in range(make.count(0, 3)):
        z = high if make.chance(0.5) else make.between(0.1, 1) * high
        size = (make.between(0.6, 2.4) * extent[0], make.between(1.2, 2.6) * extent[1], make.wide(0.01, 0.1))
        if make.chance(0.25):
            make.disc((0, 0, z), max(size[:2]) / 2, size[2], plate)
        else:
            make.box((make.between(-0.2, 0.2) * extent[0], 0, z), size, plate)
    make.face_any_side()


def _radii(make: Builder, knots: int, sections: int) -> NDArray[np.float64]:
    """A smooth positive course [K] that ends narrow or wide."""
    values = make.generator.uniform(0.35, 1, knots)
    values[[0, -1]] *= make.generator.uniform(0.2, 1, 2)
    return np.asarray(PchipInterpolator(np.linspace(0, 1, knots), values)(np.linspace(0, 1, sections)))


def hull(make: Builder) -> None:
    """A soft body along a line, alone, doubled or with straps: shoes, bags, boats, fish, instruments, cushions."""
    body = _body(make)
    color = make.color()
    gap = float(body[..., 1].max()) * make.between(1.05, 1.6)
    shifts = (-gap, gap) if make.chance(0.25) else (0.0,)
    for y in shifts:
        make.loft(body + np.array([0, y, 0]), color)
    if make.chance(0.4):  # handles, straps, necks
        thickness, other = make.wide(0.015, 0.06), make.color()
        a, b = sorted((make.count(1, len(body) - 2), make.count(1, len(body) - 2)))
        rise = make.between(0.05, 0.5)
        x, tops = body[:, 0, 0], body[..., 2].max(axis=1)
        for y in shifts:
            corners = [(x[a], y, tops[a]), (x[a], y, tops[a] + rise), (x[b], y, tops[b] + rise)]
            make.tube(np.array([*corners, (x[b], y, tops[b])]), thickness, other)
    if make.chance(0.35):
        make.turn(-90, (0, 1, 0))
    make.face_any_side()


def _body(make: Builder, sections: int = 18) -> NDArray[np.float64]:
    """Rings [K, S, 3] along x whose widths and heights vary, on the floor or about the axis."""
    length = make.wide(0.5, 1.6)
    wide = make.wide(0.08, 0.4) * _radii(make, make.count(3, 5), sections)
    tall = make.wide(0.06, 0.4) * _radii(make, make.count(3, 5), sections)
    lift = tall if make.chance(0.6) else 0 * tall
    x = np.linspace(-length / 2, length / 2, sections)
    sag = make.between(-0.2, 0.2) * np.sin(np.pi * (x / length + 0.5)) if make.chance(0.5) else 0 * x
    squareness = make.between(0.35, 1.0)
    flat = np.stack([ring(*size, squareness) for size in zip(wide, tall, strict=True)])
    along = np.broadcast_to(x[:, None], flat.shape[:2])
    return np.stack([along, flat[..., 0], flat[..., 1] + (lift + sag)[:, None]], axis=-1)


def _outline(make: Builder) -> NDArray[np.float64]:
    """A star-shaped closed line [S, 2] of about unit size."""
    around = 48
    angle = 2 * np.pi * np.arange(around) / around
    radius = np.ones(around)
    for wave in range(1, make.count(2, 7)):
        radius += make.generator.normal(0, 0.35 / wave) * np.cos(wave * angle + make.between(0, 2 * np.pi))
    radius = np.clip(radius, 0.15, None) / radius.max()
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def plate(make: Builder, center: NDArray[np.float64], size: tuple[float, float, float], color: Color) -> None:
    """A plate of chance outline, `size` deep, wide and high, upright and facing +x."""
    flat = _outline(make) * np.array(size[1:]) / 2
    rings = [np.stack([np.full(len(flat), x), *flat.T], axis=-1) for x in (-size[0] / 2, size[0] / 2)]
    make.loft(np.array(rings) + center, color)


def cutout(make: Builder) -> None:
    """Flat shapes alone, on a handle or on top of one another: blades, signs, rugs, instruments, ornaments."""
    color, depth = make.color(), make.wide(0.02, 0.15)
    width, height = make.wide(0.15, 1.2), make.wide(0.3, 1.4)
    plate(make, np.zeros(3), (depth, width, height), color)
    if make.chance(0.4):
        low = np.array([0, make.between(-0.15, 0.15) * width, -0.4 * height])
        make.bar(low, low - np.array([0, 0, make.between(0.3, 1.2)]), make.wide(0.03, 0.1), make.color())
    for _ in range(make.count(0, 2)):
        shift = np.array([depth, *(make.generator.uniform(-0.2, 0.2, 2) * (width, height))])
        scale = make.between(0.2, 0.6)
        plate(make, shift, (depth, scale * width, scale * height), make.color())
    if make.chance(0.35):
        make.turn(-90, (0, 1, 0))
    make.face_any_side()


def fixture(make: Builder) -> None:
    """A foot on a wall or a floor, arms, and heads that look somewhere: spotlights, taps, showers, hooks, fans."""
    color, other = make.color(), make.color()
    size, thickness = make.wide(0.08, 0.4), make.wide(0.015, 0.06)
    make.box((-0.03, 0, 0), (make.wide(0.02, 0.08), make.wide(0.5, 3.0) * size, size), color)
    for _ in range(make.count(1, 3)):
        start = np.array([0, make.between(-0.5, 0.5) * size, make.between(-0.3, 0.3) * size])
        knee = start + np.array([make.between(0.05, 0.4), 0, 0])
        end = knee + make.generator.uniform((-0.05, -0.2, -0.4), (0.4, 0.2, 0.4))
        make.tube(np.stack([start, knee, end]), thickness, color)
        head, look = make.between(0.06, 0.25), make.generator.normal(size=3)
        if make.chance(0.6):
            narrow = make.between(0.3, 1.0) * head
            make.turned([(0, 0), (narrow, 0), (head, 1.2 * head), (0, 1.2 * head)], end, other, look)
        elif make.chance(0.5):
            make.blob(end, (head,) * 3, other)
    if make.chance(0.4):
        make.turn(-90, (0, 1, 0))
    make.face_any_side()
