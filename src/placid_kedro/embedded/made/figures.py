"""Vehicles, animals, machines and plain assemblies by chance."""

from __future__ import annotations

import itertools

import numpy as np

from placid_kedro.embedded.made.parts import Builder, Color


def vehicle(make: Builder) -> None:
    """A body with a cabin on wheels; the front is +x."""
    length, width, height = make.wide(1.0, 2.4), make.between(0.6, 1.0), make.wide(0.25, 0.8)
    wheel, color, dark = make.between(0.12, 0.3), make.color(), (0.08, 0.08, 0.09)
    body = make.cushion if make.chance(0.5) else make.box
    body((0, 0, wheel + height / 2), (length, width, height), color)
    if make.chance(0.8):
        cabin, at = make.between(0.25, 0.7) * length, make.between(-0.2, 0.3) * length
        tall = make.between(0.2, 0.6)
        body((at, 0, wheel + height + tall / 2), (cabin, 0.9 * width, tall), color)
        make.box(
            (at, 0, wheel + height + tall / 2), (cabin * 1.01, 0.75 * width, tall * 0.6), (0.2, 0.25, 0.3)
        )
        make.box(
            (at, 0, wheel + height + tall / 2), (cabin * 0.8, 0.92 * width, tall * 0.6), (0.2, 0.25, 0.3)
        )
    axles = make.count(2, 3)
    for k in range(axles):
        x = length * 0.36 * (2 * k / (axles - 1) - 1)
        for s in (-1, 1):
            make.bar((x, s * width * 0.42, wheel), (x, s * width * 0.54, wheel), 2 * wheel, dark)
    make.face_any_side()


def animal(make: Builder) -> None:
    """Four legs, or two and arms."""
    color, other = make.color(), make.color()
    if make.chance(0.5):
        length, thick, leg = make.between(0.4, 0.7), make.between(0.12, 0.28), make.between(0.15, 0.6)
        make.blob((0, 0, leg + thick * 0.7), (length / 2 + thick / 2, thick, thick), color)
        neck = (length / 2 + make.between(0, 0.15), 0, leg + thick + make.between(0.05, 0.4))
        make.bar((length / 2 - 0.05, 0, leg + thick * 0.7), neck, thick * 0.8, color)
        make.blob((neck[0] + 0.05, 0, neck[2]), (thick * 0.8, thick * 0.6, thick * 0.6), color)
        for sx in (-1, 1):
            for sy in (-1, 1):
                make.bar(
                    (sx * length * 0.42, sy * thick * 0.6, 0),
                    (sx * length * 0.4, sy * thick * 0.6, leg + thick * 0.5),
                    make.between(0.25, 0.6) * thick,
                    color,
                )
            make.blob((neck[0], sx * thick * 0.4, neck[2] + thick * 0.6), (0.03, 0.04, thick * 0.4), other)
        make.bar(
            (-length / 2, 0, leg + thick),
            (-length / 2 - make.between(0.1, 0.3), 0, leg + make.between(-0.1, 0.6)),
            0.05,
            color,
        )
    else:
        body, leg, girth = make.between(0.3, 0.6), make.between(0.1, 0.5), make.between(0.12, 0.3)
        make.blob((0, 0, leg + body / 2), (girth * 0.8, girth, body * 0.6), color)
        head = girth * make.between(0.5, 1.1)
        make.blob(
            (0, 0, leg + body + head * 0.8), (head, head, head * 1.1), color if make.chance(0.5) else other
        )
        drop = make.between(-0.4, 0.3)
        for s in (-1, 1):
            make.bar(
                (0, s * girth * 0.5, 0),
                (0, s * girth * 0.5, leg + 0.1),
                girth * make.between(0.3, 0.8),
                other,
            )
            make.blob((0.05, s * girth * 0.5, 0.04), (girth * 0.6, girth * 0.35, 0.05), other)
            make.bar(
                (0, s * girth * 0.7, leg + body * 0.9),
                (0.1, s * (girth + 0.25), leg + body * 0.9 + drop),
                girth * make.between(0.2, 0.5),
                color,
            )
    make.face_any_side()


def machine(make: Builder) -> None:
    """Machines to train on, racks and trolleys: a frame of bars, mirrored, with a few plates."""
    color = make.color()
    thickness = make.wide(0.015, 0.07)
    length, width, height = make.wide(0.5, 1.8), make.wide(0.2, 0.8), make.wide(0.4, 1.6)
    nodes = [
        (make.between(-0.5, 0.5) * length, make.between(0.3, 1) * width / 2, make.between(0, 1) * height)
        for _ in range(make.count(3, 7))
    ]
    nodes[0] = (-length / 2, width / 2, 0)
    nodes[1] = (length / 2, width / 2, 0)
    for a, b in itertools.pairwise(nodes):
        for s in (-1, 1):
            make.bar((a[0], s * a[1], a[2]), (b[0], s * b[1], b[2]), thickness, color)
    for node in nodes:
        if make.chance(0.6):
            make.bar((node[0], -node[1], node[2]), (node[0], node[1], node[2]), thickness, color)
    for _ in range(make.count(0, 3)):
        node = nodes[make.count(0, len(nodes) - 1)]
        make.box(
            (node[0], 0, node[2]),
            (make.between(0.05, 0.5) * length, 2 * node[1], make.between(0.02, 0.2)),
            make.color(),
        )
    make.face_any_side()


def assembly(make: Builder) -> None:
    """Primitives on top of and beside each other, mostly mirrored at the plane y = 0."""
    size, color = make.between(0.3, 0.6), make.color()
    mirrored = make.chance(0.8)
    place = np.zeros(3)
    for _ in range(make.count(2, 7)):
        extent = np.array([make.wide(0.06, 0.9), make.wide(0.06, 0.9), make.wide(0.06, 0.9)]) * size
        side = make.between(0.2, 1) * size if make.chance(0.5) else 0.0
        one = color if make.chance(0.5) else make.color()
        _primitive(make, place + np.array([0, side, 0]), extent, one)
        if side and mirrored:
            _primitive(make, place - np.array([0, side, 0]), extent, one)
        place = place + np.array([make.between(-0.4, 0.4) * size, 0, make.between(-0.2, 1) * extent[2]])
    make.face_any_side()


def _primitive(make: Builder, place: np.ndarray, extent: np.ndarray, color: Color) -> None:
    kind = make.generator.random()
    if kind < 0.35:
        make.box(place, extent, color)
    elif kind < 0.55:
        make.cushion(place, extent, color)
    elif kind < 0.75:
        make.blob(place, extent / 2, color)
    else:
        axis = np.zeros(3)
        axis[make.count(0, 2)] = extent.max() / 2
        make.bar(place - axis, place + axis, float(np.median(extent)), color)
