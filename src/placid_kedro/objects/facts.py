"""What a mesh and its renders tell about an object's fitness for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placid_kedro.cameras import Cameras
from placid_kedro.rendering import Mesh, Render
from placid_kedro.rendering.mesh import add_emission, surface_color

_SAMPLES = 4096


@dataclass(frozen=True)
class ObjectFacts:
    """Measurements on one object.

    Attributes:
        faces: triangles.
        textures: images.
        is_colored: whether the file says anything of its colours.
        color_deviation: root mean square distance of the surface's colour from its mean, RGB in [0, 1].
        coverage: least share of pixels covered, over the views.
        extent: largest absolute coordinate of a visible point; the cube ends at 0.5.
        border: share of the views in which the object touches the image's border.
    """

    faces: int
    textures: int
    is_colored: bool
    color_deviation: float
    coverage: float
    extent: float
    border: float


def measure(mesh: Mesh, cameras: Cameras, render: Render) -> ObjectFacts:
    """Measure one object.

    Args:
        mesh: the object.
        cameras: C views.
        render: of these views.
    """
    alpha = render.rgba[..., 3]
    edges = np.concatenate([alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]], axis=1)
    return ObjectFacts(
        faces=len(mesh.faces),
        textures=mesh.image_count(),
        is_colored=mesh.is_colored,
        color_deviation=_color_deviation(mesh),
        coverage=float((alpha / 255.0).mean(axis=(1, 2)).min()),
        extent=_extent(cameras, render),
        border=float((edges > 127).any(axis=1).mean()),
    )


def _color_deviation(mesh: Mesh) -> float:
    """Over points spread evenly on the surface, without light: shading does not count as colour."""
    random = np.random.default_rng(0)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    if not areas.sum() > 0:
        return 0.0
    face = random.choice(len(areas), _SAMPLES, p=areas / areas.sum()).astype(np.int32)
    u, v = random.random((2, _SAMPLES)).astype(np.float32)
    outside = u + v > 1
    u[outside], v[outside] = 1 - u[outside], 1 - v[outside]
    color = add_emission(mesh, surface_color(mesh, face, u, v)[:, :3], face, u, v).astype(np.float64)
    return float(np.sqrt(((color - color.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _extent(cameras: Cameras, render: Render) -> float:
    largest = 0.0
    for view in range(len(cameras)):
        # Partly covered pixels average depths of several surfaces.
        solid = (render.depth[view] > 0) & (render.rgba[view, ..., 3] == 255)
        if not solid.any():
            continue
        origins, directions = (part[0].numpy()[solid] for part in cameras[view].rays())
        points = origins + directions * render.depth[view][solid][:, None]
        largest = max(largest, float(np.abs(points).max()))
    return largest
