"""Cupboards, shelves, baskets and flat things by chance."""

from __future__ import annotations

import trimesh

from placid_kedro.embedded.made.parts import Builder, Color
from placid_kedro.embedded.made.tables import legs


def cupboard(make: Builder) -> None:
    """Shelves, cupboards, chests of drawers, appliances with a door."""
    width, height = make.wide(0.3, 1.6), make.wide(0.4, 2.2)
    depth = make.wide(0.2, 0.7)
    color, front = make.color(), make.color()
    if make.chance(0.5):
        front = color
    foot = make.between(0, 0.2) if make.chance(0.35) else 0.0
    board = make.wide(0.015, 0.05)
    if make.chance(0.4):
        open_shelf(make, (depth, width, height, foot), board, color)
    else:
        make.box((0, 0, foot + height / 2), (depth, width, height), color)
        columns, rows, knob = make.count(1, 3), make.count(1, 5), make.color()
        for c in range(columns):
            for r in range(rows):
                y = width * ((c + 0.5) / columns - 0.5)
                z = foot + height * (r + 0.5) / rows
                make.box(
                    (depth / 2 + 0.01, y, z), (0.02, 0.94 * width / columns, 0.94 * height / rows), front
                )
                handle(make, (depth / 2 + 0.03, y, z), width / columns, height / rows, knob)
    if foot > 0.03:
        legs(make, 0.95 * depth, 0.95 * width, foot, make.between(0.02, 0.06), color)
    if make.chance(0.25):
        make.box((0, 0, foot + height + board / 2), (1.06 * depth, 1.06 * width, board), make.color())


def handle(
    make: Builder, place: tuple[float, float, float], width: float, height: float, color: Color
) -> None:
    """A knob or a bar on a door."""
    x, y, z = place
    if make.chance(0.4):
        make.blob((x, y + 0.35 * width, z), (0.02, 0.02, 0.02), color)
    elif make.chance(0.5):
        make.bar((x, y - 0.2 * width, z), (x, y + 0.2 * width, z), 0.015, color)
    else:
        make.bar(
            (x, y + 0.35 * width, z - 0.2 * height), (x, y + 0.35 * width, z + 0.2 * height), 0.015, color
        )


def open_shelf(make: Builder, size: tuple[float, float, float, float], board: float, color: Color) -> None:
    """Boards between two sides, at times with a back and with things on them."""
    depth, width, height, foot = size
    for s in (-1, 1):
        make.box((0, s * (width - board) / 2, foot + height / 2), (depth, board, height), color)
    shelves = make.count(2, 7)
    for k in range(shelves):
        z = foot + board / 2 + (height - board) * k / (shelves - 1)
        make.box((0, 0, z), (depth, width, board), color)
    if make.chance(0.6):
        make.box((-depth / 2 + board / 2, 0, foot + height / 2), (board, width, height), color)
    if make.chance(0.4):
        gap = height / (shelves - 1)
        for k in range(shelves - 1):
            y = -width / 2 + board
            while y < width / 2 - 0.12:
                thick = make.between(0.03, 0.1)
                tall = gap * make.between(0.4, 0.85)
                z = foot + board + gap * k
                make.box((0, y + thick / 2, z + tall / 2), (0.8 * depth, 0.95 * thick, tall), make.color())
                y += thick + (0.0 if make.chance(0.9) else make.between(0.05, 0.3))


def basket(make: Builder) -> None:
    """Open boxes with closed or slatted walls, at times with things inside."""
    width, depth, height = make.wide(0.4, 1.2), make.wide(0.3, 0.9), make.wide(0.2, 0.9)
    board, color = make.wide(0.015, 0.05), make.color()
    make.box((0, 0, board / 2), (depth, width, board), color)
    slats = make.count(1, 6)
    for k in range(slats):
        tall = height / slats * (1.0 if slats == 1 else make.between(0.4, 0.8))
        z = height * (k + 0.5) / slats
        for s in (-1, 1):
            make.box((s * (depth - board) / 2, 0, z), (board, width, tall), color)
            make.box((0, s * (width - board) / 2, z), (depth, board, tall), color)
    make.posts(depth - 2 * board, width - 2 * board, height, board * 1.5, color)
    if make.chance(0.4):
        for _ in range(make.count(2, 10)):
            place = (
                make.between(-0.35, 0.35) * depth,
                make.between(-0.35, 0.35) * width,
                height * make.between(0.3, 1),
            )
            make.blob(place, make.generator.uniform(0.05, 0.2, 3), make.color())


def slab(make: Builder) -> None:
    """Flat things: doors, windows, screens, pictures, plates with switches, telephones."""
    width, height = make.wide(0.4, 1.6), make.wide(0.4, 2.0)
    depth, color = make.wide(0.02, 0.2), make.color()
    make.box((0, 0, height / 2), (depth, width, height), color)
    columns, rows, inner = make.count(1, 3), make.count(1, 4), make.color()
    for c in range(columns):
        for r in range(rows):
            y, z = width * ((c + 0.5) / columns - 0.5), height * (r + 0.5) / rows
            size = (0.02, 0.8 * width / columns, 0.85 * height / rows)
            if make.chance(0.2):
                make.blob((depth / 2, y, z), (make.wide(0.02, 0.15), size[1] / 3, size[2] / 3), inner)
            else:
                make.box((depth / 2, y, z), size, inner)
    if make.chance(0.35):  # a stand
        foot = make.between(0.1, 0.4)
        make.transform(trimesh.transformations.translation_matrix([0, 0, foot]))
        make.bar((0, 0, 0), (0, 0, foot + 0.1), make.wide(0.03, 0.12), color)
        make.box((0, 0, 0.02), (make.between(0.15, 0.35), make.between(0.3, 0.8) * width, 0.04), color)
    elif make.chance(0.25):  # lying, as telephones and keyboards do
        make.turn(-90, (0, 1, 0))
    elif make.chance(0.4):
        make.bar(
            (depth / 2 + 0.05, 0.4 * width, 0.4 * height),
            (depth / 2 + 0.05, 0.4 * width, 0.55 * height),
            0.03,
            make.color(),
        )
