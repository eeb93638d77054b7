"""From a mesh and the Gaussians that it stands for to a textured GLB: UV atlas, colours baked from renders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xatlas
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.export.around import all_round
from placid_kedro.export.config import MeshParameters
from placid_kedro.objects.glb import write_glb
from placid_kedro.rendering.surfaces import Paint, Part, Texture
from placid_kedro.rendering.surfaces import Surface as Material
from placid_kedro.splats import Gaussians, render
from placid_kedro.surface.coloring import color_points
from placid_kedro.surface.extraction import Surface

# glTF has y up and the front towards +z.
_WORLD_TO_GLTF = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
# Three voxels of the mesh's grid: more mixes in what lies before the point.
_DEPTH_TOLERANCE = 0.015
# Of the cosine; a recess takes its colours from the views that look into it.
_SHARPNESS = 6.0
_TEXELS_AT_A_TIME = 65_536


@dataclass(frozen=True, eq=False)
class Atlas:
    """A mesh cut open and laid flat.

    Attributes:
        vertices: [V, 3] float64, those on a cut repeated.
        faces: [F, 3] int64.
        uv: [V, 2] float32 in [0, 1], v upwards.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    uv: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TexelPoints:
    """Where the texels of an atlas lie on the mesh.

    Attributes:
        rows: [P] of the texture, 0 at the top.
        columns: [P].
        points: [P, 3] float32 in the world.
        normals: [P, 3] float32 of length one.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    points: Tensor
    normals: Tensor


def write_textured_glb(
    gaussians: Gaussians, surface: Surface, path: Path, parameters: MeshParameters
) -> None:
    """Write a mesh with the Gaussians' colours as a GLB file: y up, the front towards +z, a unit is a metre.

    Args:
        gaussians: where the colours come from.
        surface: the mesh.
        path: of the `.glb` file.
        parameters: sizes of the texture and of the renders.
    """
    texture_size = parameters.texture_size
    atlas = unwrap(surface, texture_size)
    texels = texel_points(atlas, texture_size)
    pixels = np.zeros((texture_size, texture_size, 4), np.uint8)
    colours = baked_colours(gaussians, texels, parameters.baking_size)
    pixels[texels.rows, texels.columns, :3] = (255 * colours.numpy()).round()
    pixels[texels.rows, texels.columns, 3] = 255
    # Bilinear look-ups at a chart's edge must not mix in what lies outside of it.
    nearest = ndimage.distance_transform_edt(pixels[..., 3] == 0, return_distances=False, return_indices=True)
    pixels = pixels[nearest[0], nearest[1]]
    white = np.ones((len(atlas.vertices), 4), np.float32)
    part = Part(atlas.vertices, atlas.faces, Material(Paint(white, atlas.uv, Texture(pixels))))
    write_glb([part], path, _WORLD_TO_GLTF)


def unwrap(surface: Surface, texture_size: int) -> Atlas:
    """Cut a mesh into charts and pack them, two texels apart."""
    vertices, faces = surface.vertices.numpy(), surface.faces.numpy()
    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices, faces.astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding = texture_size, 2
    atlas.generate(pack_options=packing)
    origin, indices, uv = atlas[0]
    return Atlas(vertices[origin].astype(np.float64), indices.astype(np.int64), uv.astype(np.float32))


def texel_points(atlas: Atlas, texture_size: int) -> TexelPoints:
    """The texels whose centres a triangle of the atlas covers, with their points on the mesh."""
    corners = atlas.uv[atlas.faces].astype(np.float64) * texture_size
    corners[..., 1] = texture_size - corners[..., 1]
    low = np.clip(np.floor(corners.min(axis=1)), 0, texture_size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)), 1, texture_size).astype(int)
    found = []
    for face, (first, second, third) in enumerate(corners):
        grid = np.meshgrid(np.arange(low[face, 0], high[face, 0]), np.arange(low[face, 1], high[face, 1]))
        columns, rows = (axis.ravel() for axis in grid)
        sides = np.stack([second - first, third - first], axis=1)
        area = sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]
        if abs(area) < 1e-12:
            continue
        offsets = np.stack([columns + 0.5, rows + 0.5], axis=1) - first
        u = (offsets[:, 0] * sides[1, 1] - offsets[:, 1] * sides[0, 1]) / area
        v = (offsets[:, 1] * sides[0, 0] - offsets[:, 0] * sides[1, 0]) / area
        inside = (u >= 0) & (v >= 0) & (u + v <= 1)
        weights = np.stack([1 - u - v, u, v], axis=1)[inside]
        found.append((rows[inside], columns[inside], np.full(inside.sum(), face), weights))
    rows, columns, faces, weights = (np.concatenate(column) for column in zip(*found, strict=True))
    triangles = atlas.vertices[atlas.faces[faces]]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    points = np.einsum("pc,pcx->px", weights, triangles)
    return TexelPoints(
        rows,
        columns,
        torch.from_numpy(points).float(),
        F.normalize(torch.from_numpy(normals).float(), dim=-1),
    )


def baked_colours(gaussians: Gaussians, texels: TexelPoints, size: int) -> Tensor:
    """[P, 3] colours in [0, 1] of the texels, from renders of `size` pixels all round the object."""
    cameras = all_round(size)
    with torch.no_grad():
        seen = render(gaussians, cameras, torch.zeros(3))
    alpha = seen.alpha[:, 0]
    straight = (seen.rgb / seen.alpha.clamp_min(1e-3)).clamp(0, 1)
    depth = torch.where(alpha > 0.5, seen.depth[:, 0], torch.inf)
    blocks = zip(texels.points.split(_TEXELS_AT_A_TIME), texels.normals.split(_TEXELS_AT_A_TIME), strict=True)
    colours = [
        color_points(
            points,
            straight,
            cameras,
            depth,
            normals=normals,
            alphas=alpha,
            tolerance=_DEPTH_TOLERANCE,
            sharpness=_SHARPNESS,
        ).colors
        for points, normals in blocks
    ]
    return torch.cat(colours)
