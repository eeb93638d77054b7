"""One object a seed, of a kind drawn by weight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import trimesh

from placid_kedro.embedded.made import boxes, curved, figures, household, repeated, seats, tables
from placid_kedro.embedded.made.parts import Builder

# How often each kind is drawn, relative to the others; most often what a few pixels' width decides about.
KINDS: tuple[tuple[Callable[[Builder], None], float], ...] = (
    (tables.table, 3.0),
    (seats.chair, 3.0),
    (seats.stool, 1.0),
    (seats.sofa, 1.0),
    (seats.bed, 1.0),
    (boxes.cupboard, 2.0),
    (figures.machine, 1.0),
    (household.vessel, 1.5),
    (household.lamp, 2.0),
    (household.plant, 2.0),
    (household.bars, 1.5),
    (boxes.slab, 1.5),
    (figures.vehicle, 1.0),
    (figures.animal, 1.5),
    (boxes.basket, 1.0),
    (household.tool, 1.0),
    (figures.assembly, 3.0),
    (curved.tubes, 3.0),
    (curved.hull, 2.5),
    (curved.cutout, 1.5),
    (curved.fixture, 2.0),
    (repeated.branch, 2.0),
    (repeated.storeys, 2.0),
    (repeated.basin, 2.0),
    (repeated.wheel, 1.0),
    (repeated.heap, 1.5),
)


def make_object(seed: int) -> list[trimesh.Trimesh]:
    """The coloured parts of one object, +z up and +x its front; the same for the same seed."""
    kind, generator = _begin(seed)
    make = Builder(generator)
    kind(make)
    return make.parts


def kind_of(seed: int) -> str:
    """What the object of a seed is."""
    return _begin(seed)[0].__name__


def _begin(seed: int) -> tuple[Callable[[Builder], None], np.random.Generator]:
    generator = np.random.default_rng(seed)
    weights = np.array([weight for _, weight in KINDS])
    return KINDS[int(generator.choice(len(KINDS), p=weights / weights.sum()))][0], generator
