"""Scores beside a real object, against what is known of boxes and plain colours."""

import math

import numpy as np
import pytest
import torch
from trimesh import Trimesh
from trimesh.creation import box, icosphere
from trimesh.transformations import rotation_matrix

from placid_kedro.errors import DataError, ShapeError
from placid_kedro.evaluation.geometry import (
    RealObject,
    aligned_chamfer,
    color_scores,
    detail_ratio,
    geometry_scores,
    real_object,
    second_fronts,
)
from placid_kedro.rendering import Mesh
from placid_kedro.rendering.mesh import Coat
from placid_kedro.splats import Gaussians

SIDES = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.8], [0.8, 0.8, 0.2]])


def plain(shape: Trimesh, colors: torch.Tensor) -> Mesh:
    """A mesh with one linear colour a face."""
    corner_colors = np.ones((len(shape.faces), 3, 4), np.float32)
    corner_colors[..., :3] = colors.numpy()[:, None]
    coat = Coat(
        corner_colors,
        np.zeros((len(shape.faces), 3, 2), np.float32),
        np.full(len(shape.faces), -1, np.int32),
    )
    return Mesh(
        vertices=shape.vertices.astype(np.float32),
        faces=shape.faces.astype(np.int32),
        base=coat,
        emission=None,
        alpha_cutoffs=np.full(len(shape.faces), np.nan, np.float32),
        textures=(),
        is_colored=True,
    )


@pytest.fixture(scope="module")
def slab() -> Trimesh:
    shape: Trimesh = box((0.3, 0.8, 0.6))
    return shape


@pytest.fixture(scope="module")
def real(slab: Trimesh) -> RealObject:
    """Red in front, green elsewhere."""
    front = torch.tensor(slab.face_normals[:, 0] > 0.5)
    return real_object(plain(slab, torch.where(front[:, None], SIDES[0], SIDES[1])))


def as_gaussians(shape: Trimesh, count: int = 6000) -> Gaussians:
    points, faces = shape.sample(count, return_index=True)
    normals = torch.tensor(shape.face_normals[faces]).float()
    colors = torch.full((count, 3), 0.5)
    return Gaussians.from_points(
        torch.tensor(np.asarray(points)).float(), colors, normals=normals, opacity=0.95
    )


def test_a_surface_of_gaussians_is_near_the_real_object(slab: Trimesh, real: RealObject) -> None:
    np.random.seed(0)
    scores = geometry_scores(as_gaussians(slab), real)
    assert scores.silhouette_iou > 0.9
    assert scores.chamfer < 0.02
    # A grey object has no colour, and none of the edge between red and green.
    assert scores.chroma < 0.1
    assert scores.detail < 0.5


def test_chamfer_knows_the_same_shape_elsewhere_and_larger(slab: Trimesh) -> None:
    points = np.asarray(slab.sample(2000, seed=1))
    moved = points @ rotation_matrix(math.radians(4), [0, 0, 1])[:3, :3].T * 1.3 + [0.1, 0.05, -0.1]
    spacing = aligned_chamfer(np.asarray(slab.sample(2000, seed=2)), points)
    assert aligned_chamfer(moved, points) < 1.3 * spacing
    assert aligned_chamfer(np.asarray(icosphere(radius=0.4).sample(2000, seed=3)), points) > 4 * spacing


def test_color_distance_of_known_colours() -> None:
    """Pure sRGB red is (53.24, 80.09, 67.20) and pure blue (32.30, 79.19, -107.86) in CIE Lab (D65)."""
    red, blue = (torch.zeros(1, 3, 8, 8) for _ in range(2))
    red[:, 0], blue[:, 2] = 1, 1
    seen = torch.ones(1, 8, 8)
    distance, chroma = color_scores(red, seen, blue, seen)
    assert distance == pytest.approx(math.dist((53.24, 80.09, 67.20), (32.30, 79.19, -107.86)), abs=0.1)
    assert chroma == pytest.approx(math.hypot(80.09, 67.20) / math.hypot(79.19, 107.86), abs=1e-3)
    # What only one of the two shows counts for nothing.
    half = seen.clone()
    half[..., 4:] = 0
    painted = red.clone()
    painted[..., 4:] = 0.3
    assert color_scores(painted, half, red, seen)[0] == pytest.approx(0, abs=1e-6)


def test_detail_is_proportional_to_contrast_and_ignores_the_silhouette() -> None:
    generator = torch.Generator().manual_seed(0)
    texture = 0.5 + 0.2 * (torch.rand(2, 3, 32, 32, generator=generator) - 0.5)
    alphas = torch.zeros(2, 32, 32)
    alphas[:, 6:26, 6:26] = 1
    faded = 0.5 + 0.3 * (texture - 0.5)
    over_white = [part * alphas[:, None] + 1 - alphas[:, None] for part in (faded, texture)]
    assert detail_ratio(over_white[0], alphas, over_white[1], alphas) == pytest.approx(0.3, abs=1e-4)


def test_second_fronts_are_seen_only_where_sides_differ(real: RealObject, slab: Trimesh) -> None:
    assert second_fronts(real.images, real) == 0
    fronts = real.images[:1].expand_as(real.images)
    assert second_fronts(fronts, real) == 1
    alike = real_object(plain(slab, SIDES[0].expand(len(slab.faces), 3)))
    assert second_fronts(alike.images, alike) == 0


def test_an_object_that_cannot_be_seen_is_an_error(slab: Trimesh, real: RealObject) -> None:
    clear = Gaussians.from_points(torch.rand(9, 3) - 0.5, torch.rand(9, 3), opacity=1e-3)
    with pytest.raises(DataError, match="cannot be seen"):
        geometry_scores(clear, real)


def test_views_that_do_not_belong_together_are_an_error() -> None:
    with pytest.raises(ShapeError, match="true views"):
        detail_ratio(torch.ones(1, 3, 4, 4), torch.ones(1, 4, 4), torch.ones(2, 3, 4, 4), torch.ones(1, 4, 4))
