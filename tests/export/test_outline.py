"""Edges moved to the outline of renders, against where that outline lies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from placid_kedro.export.outline import towards_outline
from placid_kedro.splats import Gaussians
from placid_kedro.surface.extraction import Surface

DEVIATION, OPACITY = 0.12, 0.95
# A pixel of the images of 256 that are looked at, at the object's distance.
PIXEL = 1.6 * 2 * math.tan(math.radians(25)) / 256


def blob() -> Gaussians:
    """One round Gaussian in the middle of the cube."""
    place = torch.tensor([[0.0, 0.0, 0.0]])
    return Gaussians(
        place,
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), math.log(DEVIATION)),
        torch.logit(torch.tensor([OPACITY])),
        torch.zeros(1, 1, 3),
        torch.zeros(1, 0, 3),
    )


def of_trimesh(mesh: trimesh.Trimesh) -> Surface:
    return Surface(torch.from_numpy(mesh.vertices).float(), torch.from_numpy(np.asarray(mesh.faces)).long())


def moves(before: Surface, after: Surface) -> Tensor:
    """[V] along the way from the middle of the cube."""
    return after.vertices.norm(dim=1) - before.vertices.norm(dim=1)


@pytest.mark.parametrize("error", [-0.02, 0.0, 0.02])
def test_a_ball_gets_the_radius_at_which_a_gaussian_is_half_covered(error: float) -> None:
    """A view of a round Gaussian is half covered where o exp(-r^2 / 2 s^2) = 1 / 2."""
    radius = DEVIATION * math.sqrt(2 * math.log(OPACITY / 0.5))
    ball = of_trimesh(trimesh.creation.icosphere(subdivisions=2, radius=radius + error))
    moved = towards_outline(ball, blob(), 1.0)
    assert torch.equal(moved.faces, ball.faces)
    assert float(moved.vertices.norm(dim=1).mean()) == pytest.approx(radius, abs=PIXEL)
    half = moves(ball, towards_outline(ball, blob(), 0.5))
    assert torch.allclose(half, moves(ball, moved) / 2, atol=1e-5)


def test_flat_faces_stay_where_they_are() -> None:
    """The outline is 0.136 from the middle, the box's edges 0.12: these move outwards, the middles of sides do not."""
    box = trimesh.creation.box((0.17, 0.17, 0.17)).subdivide().subdivide().subdivide().subdivide()
    surface = of_trimesh(box)
    moved = moves(surface, towards_outline(surface, blob(), 1.0))
    ordered = surface.vertices.abs().sort(dim=1).values
    middles, edges = ordered[:, 1] < 0.03, (ordered[:, 1] > 0.084) & (ordered[:, 0] < 0.05)
    assert float(moved[middles].abs().max()) == 0.0
    assert PIXEL < float(moved[edges].mean()) < 0.02 and float(moved[edges].min()) > 0


def test_an_outline_out_of_reach_moves_nothing() -> None:
    """Where the Gaussians end far beyond a rim, that rim belongs to something before them."""
    small = of_trimesh(trimesh.creation.icosphere(subdivisions=2, radius=0.05))
    assert torch.allclose(towards_outline(small, blob(), 1.0).vertices, small.vertices)
