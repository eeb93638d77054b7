"""Tables, and what they and other furniture stand on."""

from __future__ import annotations

import numpy as np

from placid_kedro.embedded.made.parts import Builder, Color


def legs(make: Builder, depth: float, width: float, height: float, thickness: float, color: Color) -> None:
    """Four legs under a plate, straight or splayed, at times with bars between them."""
    splay = make.between(0, 0.25) * height if make.chance(0.35) else 0.0
    inset = make.between(0.5, 2.5) * thickness
    round_ = make.chance(0.5)
    x, y = depth / 2 - inset, width / 2 - inset
    for sx in (-1, 1):
        for sy in (-1, 1):
            foot = (sx * (x + splay), sy * (y + splay), 0.0)
            make.bar(foot, (sx * x, sy * y, height), thickness, color, round_=round_)
    if make.chance(0.4):
        z = make.between(0.12, 0.6) * height
        out = splay * (1 - z / height)
        thin = thickness * make.between(0.5, 1.0)
        for s in (-1, 1):
            make.bar((s * (x + out), -y - out, z), (s * (x + out), y + out, z), thin, color, round_=round_)
            make.bar((-x - out, s * (y + out), z), (x + out, s * (y + out), z), thin, color, round_=round_)


def pedestal(make: Builder, reach: float, height: float, thickness: float, color: Color) -> None:
    """One column on a disc, or on a star of feet."""
    make.bar((0, 0, 0), (0, 0, height), thickness * make.between(1, 2.5), color)
    if make.chance(0.5):
        make.disc((0, 0, 0.02 * height), reach * make.between(0.4, 0.8), 0.04 * height, color)
        return
    feet = make.count(3, 5)
    for angle in 2 * np.pi * (np.arange(feet) + make.between(0, 1)) / feet:
        foot = (0.7 * reach * np.cos(angle), 0.7 * reach * np.sin(angle), thickness / 2)
        make.bar(foot, (0, 0, make.between(0.1, 0.3) * height), thickness, color)


def panel_ends(
    make: Builder, depth: float, width: float, height: float, thickness: float, color: Color
) -> None:
    """Two boards instead of legs."""
    y = width / 2 - thickness * make.between(0.5, 4)
    for s in (-1, 1):
        make.box((0, s * y, height / 2), (depth * make.between(0.7, 1.0), thickness, height), color)
    if make.chance(0.5):
        make.box(
            (0, 0, height * make.between(0.2, 0.8)),
            (thickness, 2 * y, height * make.between(0.05, 0.4)),
            color,
        )


def drawers(make: Builder, front: float, width: float, height: float, color: Color) -> None:
    """A block of drawers with its front at x = `front`."""
    y = make.between(-1, 1) * width
    depth = 2 * front * 0.9
    make.box((0, y, height / 2), (depth, width, height), color)
    rows, knob = make.count(1, 4), make.color()
    for row in range(rows):
        z = height * (row + 0.5) / rows
        make.box(
            (depth / 2 + 0.005, y, z),
            (0.01, 0.9 * width, 0.85 * height / rows),
            make.color() if make.chance(0.2) else color,
        )
        make.bar(
            (depth / 2 + 0.02, y - 0.15 * width, z), (depth / 2 + 0.02, y + 0.15 * width, z), 0.015, knob
        )


def table(make: Builder) -> None:
    """Any table: rectangular or round, on legs, boards or a column."""
    height = make.wide(0.25, 1.2)
    width = make.wide(0.5, 2.2)
    depth = width * make.between(0.4, 1.0)
    thickness = make.wide(0.012, 0.09)
    plate = make.wide(0.012, 0.1)
    color = make.color()
    top = color if make.chance(0.5) else make.color()
    is_round = make.chance(0.35)
    if is_round:
        depth = width
        make.disc((0, 0, height + plate / 2), width / 2, plate, top)
    else:
        make.box((0, 0, height + plate / 2), (depth, width, plate), top)
    kind = make.generator.random()
    inner = 0.68 if is_round else 1.0
    if kind < 0.65:
        legs(make, depth * inner, width * inner, height, thickness, color)
        if make.chance(0.35) and not is_round:
            apron = make.between(0.05, 0.2) * height
            make.box((0, 0, height - apron / 2), (0.92 * depth, 0.94 * width, apron), color)
        if make.chance(0.25):
            z = make.between(0.15, 0.5) * height
            make.box((0, 0, z), (0.9 * depth * inner, 0.9 * width * inner, plate), top)
    elif kind < 0.8 and not is_round:
        panel_ends(make, depth, width, height, max(thickness, 0.025), color)
    else:
        pedestal(make, min(depth, width) / 2, height, thickness * 1.3, color)
    if make.chance(0.15) and not is_round:
        drawers(make, -0.02 + depth / 2, width * make.between(0.2, 0.4), height, color)
