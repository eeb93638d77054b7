"""A point cloud from an object that Shap-E drew, for the row of the ablation without Latent-Plane."""

from __future__ import annotations

import torch
from torch import Tensor

from placid_kedro.cameras.rays import CUBE_HALF_EXTENT
from placid_kedro.diffusion.shap_e import ShapEField
from placid_kedro.errors import DataError
from placid_kedro.splats.axes import AxisRotation
from placid_kedro.surface.extraction import cube_points, iso_surface, sample_surface
from placid_kedro.surface.point_clouds import PointCloud

SHAP_E_TO_WORLD = AxisRotation(order=(1, 0, 2), signs=(-1, 1, 1))
"""(x, y, z) -> (-y, x, z): z stays up. Shap-E names no front; taken for it is the side that the first camera of its own
turntable sees, -y, where Blender puts the front of a glTF, of which Shap-E was trained on many."""

# Shap-E's cube has edges of 2.
_SCALE = 1 / CUBE_HALF_EXTENT


def points_of_field(field: ShapEField, resolution: int, count: int, generator: torch.Generator) -> PointCloud:
    """`count` points on the surface of an object, evenly by area, in the world's axes, with colours and normals.

    Args:
        field: the object.
        resolution: R, points along an edge of the grid that its surface is looked for on; Shap-E's authors take 128.
        count: of points.
        generator: draws the points, on the CPU.

    Raises:
        DataError: the object is nowhere.
        NumericError: the field is not finite somewhere.
    """
    distances, _ = field.at(_to_shap_e(cube_points(resolution)))
    if not bool((distances > 0).any()):
        raise DataError(
            "Shap-E drew nothing for this prompt: its object is nowhere; take another seed, or give init.source "
            "another kind."
        )
    # Marching cubes takes a density, which is nowhere negative; the distance is above -1.
    grid = (distances + 1).reshape(resolution, resolution, resolution)
    surface = sample_surface(iso_surface(grid, 1.0), count, generator)
    _, colors = field.at(_to_shap_e(surface.points))
    return PointCloud(surface.points, colors, surface.normals)


def _to_shap_e(points: Tensor) -> Tensor:
    """Points [P, 3] of the world in Shap-E's axes and size."""
    return SHAP_E_TO_WORLD.inverse.of_vectors(points) * _SCALE
