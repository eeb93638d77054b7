"""Things of many like parts by chance: branches, stairs and bunks, basins, wheels, heaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from trimesh.transformations import rotation_matrix, translation_matrix

from placid_kedro.embedded.made.parts import Builder, Color, random_rotation
from placid_kedro.embedded.made.tables import legs


def branch(make: Builder) -> None:
    """A branch, a bare or a leafy tree, at times in a vase: twigs upon twigs, with leaves, blossoms or fruits."""
    wood, leaf = make.color(), make.green() if make.chance(0.6) else make.color()
    thickness, spread = make.wide(0.012, 0.08), make.between(0.25, 0.9)
    tips = _grow(make, np.zeros(3), np.array([0, 0, 1.0]), (1.0, thickness, spread), make.count(1, 3), wood)
    if make.chance(0.8):
        size, flat = make.wide(0.03, 0.2), make.between(0.1, 1.0)
        for tip in tips:
            if make.chance(0.85):
                radii = (size * make.between(0.6, 1.2), 0.7 * size, flat * size)
                make.blob(tip, radii, leaf, random_rotation(make.generator))
    if make.chance(0.3):
        height, radius = make.between(0.2, 0.6), make.between(0.08, 0.25)
        make.turned(
            [(0, 0), (radius, 0), (radius * make.between(0.4, 1), height), (0, height)],
            (0, 0, -height),
            make.color(),
        )
    elif make.chance(0.2):  # lying
        make.turn(90, (0, 1, 0))


def _grow(
    make: Builder,
    start: NDArray[np.float64],
    direction: NDArray[np.float64],
    size: tuple[float, float, float],
    generations: int,
    color: Color,
) -> list[NDArray[np.float64]]:
    """Add a twig of `size` (length, thickness, spread) and those that grow from it; where the last ones end."""
    length, thickness, spread = size
    bend = direction + make.generator.normal(0, 0.25 * spread, 3)
    middle = start + 0.5 * length * bend / np.linalg.norm(bend)
    bend = direction + make.generator.normal(0, 0.25 * spread, 3)
    end = middle + 0.5 * length * bend / np.linalg.norm(bend)
    make.tube(np.stack([start, middle, end]), thickness, color)
    if generations == 0:
        return [middle, end]
    tips = []
    for _ in range(make.count(2, 4)):
        along = make.between(0.3, 1.0)
        root = middle + (2 * along - 1) * (end - middle if along > 0.5 else middle - start)
        side = direction + make.generator.normal(0, 1, 3) * spread
        smaller = (length * make.between(0.35, 0.7), max(0.6 * thickness, 0.008), spread)
        tips += _grow(make, root, side / np.linalg.norm(side), smaller, generations - 1, color)
    return tips


def storeys(make: Builder) -> None:
    """Platforms on posts with rails, ladders or steps: bunks, scaffolds, stands, stairs, playgrounds."""
    width, depth = make.wide(0.4, 1.6), make.wide(0.4, 1.2)
    height, thickness, color = make.wide(0.5, 1.8), make.wide(0.02, 0.09), make.color()
    other, board = make.color(), make.wide(0.02, 0.12)
    make.posts(depth, width, height, thickness, color)
    for k in range(make.count(1, 3)):
        z = (
            height * (1.0 if k == 0 else make.between(0.1, 0.9))
            - (0.25 if make.chance(0.4) else 0.0) * height
        )
        make.box((0, 0, z), (depth, width, board), other if make.chance(0.5) else color)
    for z in (height, 0.8 * height):
        for s in (-1, 1):
            if make.chance(0.5):
                edge = s * depth / 2
                make.bar((edge, -width / 2, z), (edge, width / 2, z), 0.7 * thickness, color, round_=False)
            if make.chance(0.5):
                edge = s * width / 2
                make.bar((-depth / 2, edge, z), (depth / 2, edge, z), 0.7 * thickness, color, round_=False)
    if make.chance(0.6):
        _steps(make, depth / 2, make.between(0.15, 0.5) * width, height, color)
    make.face_any_side()


def _steps(make: Builder, front: float, half_width: float, height: float, color: Color) -> None:
    number, reach = make.count(3, 8), make.between(0.0, 1.0) * height
    solid, thin = make.chance(0.3), make.wide(0.015, 0.05)
    for k in range(number):
        part = (k + 1) / (number + 1)
        x, z = front + reach * (1 - part), part * height
        if solid:
            make.box((x, 0, z / 2), (reach / number + thin, 2 * half_width, z), color)
        else:
            make.box((x, 0, z), (max(reach / number, thin), 2 * half_width, thin), color)
    for s in (-1, 1):
        y = s * half_width
        make.bar((front + reach, y, 0), (front, y, height), 1.5 * thin, color, round_=False)


def basin(make: Builder) -> None:
    """Hollow things seen from within: baths, sinks, pots, ovens, cages, open chests."""
    outer, inner = make.color(), make.color()
    height, wall = make.wide(0.2, 0.9), make.wide(0.02, 0.12)
    hollow = _round_basin if make.chance(0.4) else _box_basin
    hollow(make, height, wall, outer, inner)
    make.face_any_side()


def _round_basin(make: Builder, height: float, wall: float, outer: Color, inner: Color) -> None:
    """A pot or a bowl, at times with one or two handles."""
    radius, low = make.wide(0.2, 0.7), make.between(0.5, 1.0)
    profile = [(0, 0), (low * radius, 0), (radius, height), (radius - wall, height)]
    make.turned([*profile, (low * radius - wall, wall), (0, wall)], (0, 0, 0), outer)
    if make.chance(0.6):
        reach = make.between(0.1, 0.6)
        for s in (-1, 1) if make.chance(0.5) else (1,):
            start = np.array([0, s * radius, 0.85 * height])
            make.bar(start, start + np.array([0, s * reach, make.between(0, 0.1)]), 0.06, inner)


def _box_basin(make: Builder, height: float, wall: float, outer: Color, inner: Color) -> None:
    """Five walls that open upwards or in front; a tap, shelves or legs."""
    width, depth = make.wide(0.4, 1.4), make.wide(0.35, 1.0)
    make.box((0, 0, wall / 2), (depth, width, wall), inner)
    for s in (-1, 1):
        make.box((0, s * (width - wall) / 2, height / 2), (depth, wall, height), outer)
        make.box((s * (depth - wall) / 2, 0, height / 2), (wall, width, height), outer)
    if make.chance(0.4):  # the opening in front
        make.turn(90, (0, 1, 0))
        for k in range(make.count(0, 3)):
            z = (k - 1.5) / 4 * depth
            make.box((height / 2, 0, z), (0.9 * height, 0.95 * width, 0.015), inner)
    elif make.chance(0.4):
        tap, spout = (-depth / 2, 0, height + 0.2), (-depth / 4, 0, height + 0.15)
        make.bar((-depth / 2, 0, height), tap, 0.04, inner)
        make.bar(tap, spout, 0.04, inner)
    elif make.chance(0.5):
        foot = make.between(0.1, 0.8)
        make.transform(translation_matrix([0, 0, foot]))
        legs(make, depth, width, foot, make.wide(0.02, 0.08), inner)


def wheel(make: Builder) -> None:
    """Rings with spokes or blades, alone, in pairs, on a stand: fans, bicycles, clocks, mills, round mirrors."""
    color, other = make.color(), make.color()
    thickness, spokes = make.wide(0.012, 0.08), make.count(0, 12)
    pair = make.between(1.1, 1.8) if make.chance(0.3) else 0.0
    blades = make.chance(0.3)
    for y in (-pair / 2, pair / 2) if pair else (0.0,):
        center = np.array([0, y, 0.5])
        angle = np.linspace(0, 2 * np.pi, 25)
        around = np.stack([0 * angle, np.cos(angle), np.sin(angle)], axis=-1)
        if make.chance(0.85):
            make.tube(center + 0.5 * around, thickness, color)
        for k in range(spokes):
            turn = 2 * np.pi * k / spokes
            out = 0.5 * np.array([0, np.cos(turn), np.sin(turn)])
            if blades:
                blade = make.between(0.08, 0.12)
                make.blob(
                    center + 0.55 * out,
                    (0.02, blade, 0.22),
                    other,
                    rotation_matrix(turn - np.pi / 2, (1, 0, 0))[:3, :3],
                )
            else:
                make.bar(center, center + out, 0.5 * thickness, other)
        make.blob(center, (0.05, *(make.wide(0.03, 0.15),) * 2), other)
    if pair:
        top = np.array([0, make.between(-0.2, 0.2) * pair, make.between(0.7, 1.2)])
        for y in (-pair / 2, pair / 2):
            make.bar((0, y, 0.5), top, 1.5 * thickness, other)
        make.bar(top, top + np.array([0, 0, 0.25]), thickness, color)
    elif make.chance(0.5):
        low = np.array([0, 0, -make.between(0.1, 0.8)])
        make.bar(low, (0, 0, 0.5 if make.chance(0.4) else 0), 1.5 * thickness, other)
        make.disc(low, make.between(0.15, 0.4), 0.04, other)
    make.face_any_side()


def heap(make: Builder) -> None:
    """Like things side by side and upon one another: logs, books, fruits, bottles, dishes, bricks."""
    color, alike = make.color(), make.chance(0.6)
    size = np.array([make.wide(0.1, 0.8), make.wide(0.1, 0.4), make.wide(0.05, 0.4)])
    kind, rows, layers = make.generator.random(), make.count(1, 5), make.count(1, 5)
    shrinks = make.chance(0.5)
    for layer in range(layers):
        number = max(1, rows - layer) if shrinks else rows
        for k in range(number):
            jitter = make.generator.normal(0, 0.04, 3) * size
            place = jitter + np.array([0, (k - (number - 1) / 2) * size[1], (layer + 0.5) * size[2]])
            one = color if alike else make.color()
            if kind < 0.35:
                make.box(place, 0.97 * size, one)
            elif kind < 0.6:
                ends = np.array([size[0] / 2, 0, 0])
                make.bar(place - ends, place + ends, float(min(size[1:])), one)
            elif kind < 0.8:
                make.blob(place, size / 2, one)
            else:
                radius, foot = size[1] / 2, place - np.array([0, 0, 0.5 * size[2]])
                profile = [(0, 0), (0.9 * radius, 0), (radius, size[2]), (0, size[2])]
                make.turned(profile, foot, one)
    make.face_any_side()
