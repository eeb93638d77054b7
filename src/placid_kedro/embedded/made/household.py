"""Vessels, lamps, plants, racks and tools by chance."""

from __future__ import annotations

import itertools

import numpy as np

from placid_kedro.embedded.made.parts import Builder, random_rotation


def profile(make: Builder, height: float, radius: float) -> list[tuple[float, float]]:
    """A smooth outline from the floor to `height`, at most `radius` wide."""
    knots = make.count(3, 6)
    widths = np.array([make.between(0.2, 1.0) for _ in range(knots)])
    heights = np.linspace(0, height, 16)
    outline = np.interp(heights, np.linspace(0, height, knots), widths)
    if make.chance(0.5):  # rounded rather than broken
        outline = np.convolve(np.pad(outline, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    outline = radius * outline / outline.max()
    return [(0.0, 0.0), *zip(outline.tolist(), heights.tolist(), strict=True), (0.0, height)]


def vessel(make: Builder) -> None:
    """Bottles, vases, cups, bowls, boxes with a lid."""
    height, radius, color = make.wide(0.3, 1.6), make.between(0.2, 0.5), make.color()
    make.turned(profile(make, height, radius), (0, 0, 0), color)
    if make.chance(0.35):
        side = radius * make.between(0.6, 0.95)
        reach, low, high = make.between(0.1, 0.35), 0.25 * height, make.between(0.5, 0.9) * height
        thick = make.wide(0.03, 0.08)
        angle = np.deg2rad(45 * make.count(0, 7))
        c, s = np.cos(angle), np.sin(angle)
        bend = [(side, low), (side + reach, low), (side + reach, high), (side, high)]
        for (r0, z0), (r1, z1) in itertools.pairwise(bend):
            make.bar((r0 * c, r0 * s, z0), (r1 * c, r1 * s, z1), thick, color)
    if make.chance(0.4):
        other = make.color()
        make.turned(
            profile(make, make.between(0.05, 0.3) * height, radius * make.between(0.3, 0.9)),
            (0, 0, height),
            other,
        )
    if make.chance(0.3):
        z = make.between(0.2, 0.7) * height
        make.disc((0, 0, z), radius * 1.01, make.between(0.05, 0.2) * height, make.color())


def lamp(make: Builder) -> None:
    """Lamps to stand, with a straight or a bent arm, and lamps to hang."""
    height, thick, color, shade = make.wide(0.4, 1.7), make.wide(0.012, 0.06), make.color(), make.color()
    wide, narrow = make.between(0.15, 0.35), make.between(0.05, 0.3)
    tall = make.between(0.12, 0.4)
    hanging = make.chance(0.25)
    if not hanging:
        make.disc((0, 0, 0.02), make.between(0.1, 0.25), make.wide(0.02, 0.06), color)
        if make.chance(0.25):
            make.turned(profile(make, height, make.between(0.06, 0.2)), (0, 0, 0), color)
    else:
        make.disc((0, 0, height + tall), 0.08, 0.04, color)
    head = (0.0, 0.0, height)
    if hanging:
        make.bar((0, 0, height), (0, 0, height + tall), thick, color)
    elif make.chance(0.3):
        knee = (make.between(-0.3, 0.3), make.between(-0.3, 0.3), height * make.between(0.4, 1.1))
        head = (make.between(-0.4, 0.6), make.between(-0.4, 0.4), height * make.between(0.6, 1.0))
        make.bar((0, 0, 0), knee, thick, color)
        make.bar(knee, head, thick, color)
    else:
        make.bar((0, 0, 0), head, thick, color)
    if make.chance(0.2):
        make.blob(head, (wide * 0.7,) * 3, shade)
    elif make.chance(0.25):
        arms = make.count(3, 8)
        for angle in 2 * np.pi * np.arange(arms) / arms:
            end = (
                head[0] + wide * np.cos(angle),
                head[1] + wide * np.sin(angle),
                head[2] + make.between(-0.02, 0.02),
            )
            make.bar(head, end, thick, color)
            make.turned(profile(make, 0.15, 0.07), end, shade)
    else:
        make.turned(
            [(0, 0), (wide, 0), (min(narrow, wide), tall), (0, tall)],
            (head[0], head[1], head[2] - tall * 0.5),
            shade,
        )


def plant(make: Builder) -> None:
    """A pot with stems and leaves, or a tree."""
    green, wood = make.green(), make.color()
    base = 0.0
    if make.chance(0.65):
        base, radius = make.between(0.15, 0.4), make.between(0.12, 0.25)
        make.turned(
            [(0, 0), (radius * make.between(0.6, 1), 0), (radius, base), (0, base)], (0, 0, 0), make.color()
        )
    height = make.wide(0.3, 1.3)
    spread = make.between(0.1, 0.6)
    flower = make.color() if make.chance(0.35) else None
    if make.chance(0.35):  # a crown on a trunk
        make.bar((0, 0, 0), (0, 0, base + height), make.wide(0.02, 0.12), wood)
        for _ in range(make.count(1, 8)):
            place = make.generator.normal(0, 0.35 * spread, 3) + np.array([0, 0, base + height])
            make.blob(
                place,
                make.generator.uniform(0.3, 0.8, 3) * spread,
                make.green() if make.chance(0.2) else green,
            )
        return
    for _ in range(make.count(4, 22)):
        angle, out = make.between(0, 2 * np.pi), make.between(0.1, 1) * spread
        tip = np.array([out * np.cos(angle), out * np.sin(angle), base + height * make.between(0.4, 1)])
        make.bar((0, 0, base * 0.9), tip, make.wide(0.008, 0.02), green)
        size = make.between(0.05, 0.2)
        make.blob(
            tip, (size, size * make.between(0.2, 0.9), size * 0.15), green, random_rotation(make.generator)
        )
        if flower is not None and make.chance(0.6):
            make.blob(tip + np.array([0, 0, 0.02]), (size * 0.5,) * 3, flower)


def bars(make: Builder) -> None:
    """Railings, ladders, grids, towel racks: many bars in a frame."""
    width, height, thick, color = (
        make.wide(0.4, 2.0),
        make.wide(0.3, 1.8),
        make.wide(0.012, 0.06),
        make.color(),
    )
    depth = 0.0 if make.chance(0.5) else make.between(0.1, 0.5)
    round_ = make.chance(0.6)
    for s in (-1, 1):
        make.bar((0, s * width / 2, 0), (0, s * width / 2, height), thick * 1.4, color, round_=round_)
    for z in (make.between(0.0, 0.15) * height, height):
        make.bar((0, -width / 2, z), (0, width / 2, z), thick * 1.3, color, round_=round_)
    number = make.count(2, 12)
    upright = make.chance(0.6)
    for k in range(number):
        part = (k + 1) / (number + 1)
        if upright:
            y = width * (part - 0.5)
            make.bar((0, y, 0.1 * height), (0, y, height), thick, color, round_=round_)
        else:
            make.bar(
                (0, -width / 2, part * height), (0, width / 2, part * height), thick, color, round_=round_
            )
    if depth:
        for s in (-1, 1):
            make.bar(
                (-depth, s * width / 2, 0), (0, s * width / 2, height * make.between(0.5, 1)), thick, color
            )
            make.bar((-depth, s * width / 2, 0), (depth, s * width / 2, 0), thick, color)
    make.turn(90 * make.count(0, 1))


def tool(make: Builder) -> None:
    """A handle with something at its end: knives, hammers, brooms, umbrellas, rackets."""
    length, thick, color, other = make.between(0.6, 1.4), make.wide(0.02, 0.08), make.color(), make.color()
    make.bar((0, 0, 0), (0, 0, length), thick, color)
    kind = make.generator.random()
    if kind < 0.3:
        make.box(
            (0, make.between(-0.05, 0.05), length),
            (make.between(0.02, 0.2), make.between(0.1, 0.6), make.between(0.05, 0.5)),
            other,
        )
    elif kind < 0.55:
        make.turned(
            profile(make, make.between(0.1, 0.5), make.between(0.1, 0.6)),
            (0, 0, length * make.between(0.7, 1)),
            other,
        )
    elif kind < 0.8:
        make.blob(
            (0, 0, length), (make.between(0.02, 0.3), make.between(0.1, 0.3), make.between(0.1, 0.4)), other
        )
    else:
        for s in np.linspace(-1, 1, make.count(2, 6)):
            make.bar((0, 0, length), (0, 0.25 * s, length + make.between(0.2, 0.5)), thick * 0.7, other)
    if make.chance(0.5):
        axis = [0, 1, 0] if make.chance(0.5) else [1, 0, 0]
        make.turn(90, axis)
