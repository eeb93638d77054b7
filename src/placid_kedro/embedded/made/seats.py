"""Chairs, stools, sofas and beds by chance."""

from __future__ import annotations

from dataclasses import dataclass

from placid_kedro.embedded.made.parts import Builder, Color
from placid_kedro.embedded.made.tables import legs, pedestal


@dataclass(frozen=True)
class _Back:
    """Where the back of a chair stands: behind a seat of `depth` and `width`, from the height `bottom` on."""

    depth: float
    width: float
    bottom: float
    rise: float
    lean: float
    thickness: float

    @property
    def side(self) -> float:
        """y of its posts."""
        return self.width / 2 - self.thickness / 2

    def at(self, height: float, side: float) -> tuple[float, float, float]:
        """The point at a share of its height."""
        x = -self.depth / 2 + self.thickness / 2
        return (x - self.lean * height, side, self.bottom + height * self.rise)


def chair(make: Builder) -> None:
    """A chair: seat, legs or a column, a back of bars, slats or a board, at times arms."""
    seat_height = make.between(0.35, 0.55)
    width, depth = make.between(0.35, 0.6), make.between(0.35, 0.6)
    thickness = make.wide(0.015, 0.06)
    plate = make.wide(0.015, 0.14)
    color = make.color()
    soft = color if make.chance(0.5) else make.color()
    if make.chance(0.3):
        make.cushion((0, 0, seat_height), (depth, width, plate), soft)
    else:
        make.box((0, 0, seat_height), (depth, width, plate), soft)
    if make.chance(0.8):
        legs(make, depth, width, seat_height - plate / 2, thickness, color)
    else:
        pedestal(make, width / 2, seat_height - plate / 2, thickness, color)
    rise = make.between(0.2, 0.75)
    lean = make.between(0, 0.2)
    chair_back(make, _Back(depth, width, seat_height, rise, lean, thickness), (color, soft))
    if make.chance(0.35):
        z = seat_height + make.between(0.15, 0.28)
        for s in (-1, 1):
            y = s * (width / 2 - thickness / 2)
            make.bar((-depth / 2, y, z), (0.4 * depth, y, z), thickness * 1.2, color, round_=False)
            make.bar((0.38 * depth, y, seat_height), (0.38 * depth, y, z), thickness, color)


def chair_back(make: Builder, back: _Back, colors: tuple[Color, Color]) -> None:
    """The back of a chair above its seat."""
    color, soft = colors
    thickness, y, at = back.thickness, back.side, back.at
    kind = make.generator.random()
    if kind < 0.3:
        board = make.wide(0.015, 0.12)
        low = make.between(0, 0.5)
        steps = 4
        for k in range(steps):  # a leaning board in steps
            a, b = low + (1 - low) * k / steps, low + (1 - low) * (k + 1) / steps
            middle = at((a + b) / 2, 0)
            make.box(middle, (board, back.width, back.rise * (b - a) * 1.02), soft)
        if low > 0.05:
            for s in (-1, 1):
                make.bar(at(0, s * y * 0.8), at(low, s * y * 0.8), thickness, color)
        return
    for s in (-1, 1):
        make.bar(at(0, s * y), at(1, s * y), thickness, color, round_=make.chance(0.5))
    if kind < 0.65:
        for k in range(make.count(1, 5)):
            z = 1 - 0.05 - 0.18 * k
            if z > 0.1:
                make.bar(at(z, -y), at(z, y), thickness * make.between(0.7, 1.6), color, round_=False)
    else:
        make.bar(at(1, -y), at(1, y), thickness * 1.4, color, round_=False)
        number = make.count(2, 8)
        for k in range(number):
            side = y * (2 * (k + 1) / (number + 1) - 1)
            make.bar(at(0, side), at(1, side), thickness * 0.6, color)


def stool(make: Builder) -> None:
    """A stool or a bar stool."""
    height, radius = make.between(0.3, 0.9), make.between(0.14, 0.25)
    plate, thickness = make.wide(0.02, 0.12), make.wide(0.012, 0.05)
    color = make.color()
    top = color if make.chance(0.4) else make.color()
    if make.chance(0.6):
        make.disc((0, 0, height), radius, plate, top)
    else:
        make.box((0, 0, height), (2 * radius, 2 * radius * make.between(0.8, 1.4), plate), top)
    if make.chance(0.7):
        legs(make, 1.5 * radius, 1.5 * radius, height - plate / 2, thickness, color)
    else:
        pedestal(make, radius * 1.2, height - plate / 2, thickness * 1.3, color)


def sofa(make: Builder) -> None:
    """A sofa or an armchair."""
    width = make.wide(0.7, 2.4)
    depth, seat, rise = make.between(0.6, 1.0), make.between(0.25, 0.45), make.between(0.3, 0.6)
    arm, back = make.between(0.05, 0.3), make.between(0.1, 0.3)
    color = make.color()
    body = make.cushion if make.chance(0.6) else make.box
    foot = make.between(0, 0.15)
    body((0, 0, foot + seat / 2), (depth, width, seat), color)
    body((-depth / 2 + back / 2, 0, foot + (seat + rise) / 2), (back, width, seat + rise), color)
    if make.chance(0.85):
        arm_height = seat + make.between(0.1, 0.9) * rise
        for s in (-1, 1):
            body((0, s * (width / 2 - arm / 2), foot + arm_height / 2), (depth, arm, arm_height), color)
    else:
        arm = 0.0
    seats = max(1, round((width - 2 * arm) / make.between(0.5, 0.8)))
    soft = color if make.chance(0.6) else make.color()
    each = (width - 2 * arm) / seats
    for k in range(seats):
        y = -width / 2 + arm + each * (k + 0.5)
        make.cushion((back / 2, y, foot + seat + 0.05), (depth - back, 0.97 * each, 0.16), soft)
        if make.chance(0.6):
            make.cushion((-depth / 2 + back + 0.07, y, foot + seat + 0.25), (0.16, 0.93 * each, 0.35), soft)
    if foot > 0.03:
        legs(make, 0.95 * depth, 0.97 * width, foot, make.between(0.02, 0.06), make.color())


def bed(make: Builder) -> None:
    """A bed, a bunk bed or a bed on posts."""
    length, width = make.between(1.7, 2.2), make.wide(0.7, 2.0)
    color, cloth = make.color(), make.color()
    storeys = 1 if make.chance(0.6) else 2
    thickness = make.wide(0.03, 0.1)
    levels = [make.between(0.15, 0.45)] + ([make.between(1.1, 1.5)] if storeys == 2 else [])
    if storeys == 2 and make.chance(0.4):
        levels = levels[1:]  # a loft bed
    for z in levels:
        make.box((0, 0, z), (length, width, make.between(0.05, 0.2)), color)
        make.cushion((0, 0, z + 0.15), (0.97 * length, 0.95 * width, 0.25), cloth)
        if make.chance(0.8):
            make.cushion((-0.42 * length, 0, z + 0.3), (0.28, 0.6 * width, 0.14), make.color())
        if z > 1:
            for s in (-1, 1):
                make.bar(
                    (-length / 2, s * width / 2, z + 0.4),
                    (length / 2, s * width / 2, z + 0.4),
                    thickness,
                    color,
                )
    top = levels[-1] + make.between(0.1, 0.6)
    make.posts(length, width, top, thickness, color)
    for sx in (-1, 1):
        if make.chance(0.7):
            board = top * make.between(0.5, 1.1) if sx < 0 else levels[0] * make.between(0.8, 1.6)
            make.box((sx * length / 2, 0, board / 2), (0.05, width, board), color)
    if levels[-1] > 1:
        x = make.between(0.1, 0.4) * length
        for z in range(4):
            h = levels[-1] * (z + 1) / 5
            make.bar((x - 0.15, width / 2 + 0.03, h), (x + 0.15, width / 2 + 0.03, h), 0.04, color)
        for rail in (x - 0.15, x + 0.15):
            make.bar((rail, width / 2 + 0.03, 0), (rail, width / 2 + 0.03, levels[-1] + 0.3), 0.04, color)
    make.face_any_side()
