"""A mesh's edges moved to where the Gaussians' outline lies.

A Gaussian shows beyond its centre by a deviation or so. A surface that far out everywhere is far from the centres; one
near to them is too narrow in every view. What the eye sees of it are the edges, so these alone are moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import Cameras
from placid_kedro.cameras.rays import project
from placid_kedro.export.around import all_round
from placid_kedro.splats import Gaussians, render
from placid_kedro.surface.coloring import planar_depth
from placid_kedro.surface.extraction import Surface

_IMAGE_SIZE = 256
# Of alpha: where an outline lies.
_RIM = 0.5
# In pixels: how far from a vertex the outline is looked for, and in what steps.
_REACH, _STEP = 4.0, 0.25
# Cosine between the normal and the direction of sight: a vertex of the rim looks sideways.
_SIDEWAYS = 0.3
# An edge's normals differ around it: one minus the length of their mean, where an edge begins and where it is sharp.
_BLUNT, _SHARP = 0.06, 0.12
_ROUNDS = 3
# Mean number of views that must see a neighbourhood's rim for it to move all the way.
_ENOUGH_VIEWS = 0.3


def towards_outline(surface: Surface, gaussians: Gaussians, share: float) -> Surface:
    """Move a mesh's convex edges along their normals towards the outline of the Gaussians' renders from 32 sides.

    Args:
        surface: a closed mesh of V vertices, wound outwards.
        gaussians: that it stands for.
        share: how much of the way, in [0, 1].

    Returns:
        The same faces with moved vertices.
    """
    cameras = all_round(_IMAGE_SIZE)
    with torch.no_grad():
        alpha = render(gaussians, cameras, torch.zeros(3)).alpha[:, 0]
    mesh = _Mesh.of(surface)
    total, count = torch.zeros(len(mesh.vertices)), torch.zeros(len(mesh.vertices))
    for view in range(len(cameras)):
        rim, gaps = _gaps(mesh, alpha[view], cameras[view : view + 1])
        total[rim] += gaps
        count[rim] += 1
    total, count = mesh.smoothed(total, _ROUNDS), mesh.smoothed(count, _ROUNDS)
    gap = total / count.clamp_min(1e-6) * (count / _ENOUGH_VIEWS).clamp_max(1)
    moved = mesh.vertices + (share * gap * _edges(mesh))[:, None] * mesh.normals
    return Surface(moved.to(surface.vertices), surface.faces)


@dataclass(frozen=True, eq=False)
class _Mesh:
    """A mesh with what its neighbourhoods tell.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int64.
        face_normals: [F, 3], as long as twice the faces' areas.
        normals: [V, 3] of length one.
        neighbours: [V, V] sparse, rows that sum to one: each vertex and those it shares an edge with.
    """

    vertices: Tensor
    faces: Tensor
    face_normals: Tensor
    normals: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, surface: Surface) -> _Mesh:
        vertices, faces = surface.vertices.float(), surface.faces.long()
        first, second, third = vertices[faces].unbind(dim=1)
        face_normals = torch.linalg.cross(second - first, third - first)
        normals = torch.zeros_like(vertices).index_add(
            0, faces.flatten(), face_normals.repeat_interleave(3, 0)
        )
        own = torch.arange(len(vertices))
        edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        pairs = torch.cat([edges, edges.flip(1), own[:, None].expand(-1, 2)]).unique(dim=0).T
        share = 1 / torch.bincount(pairs[0])[pairs[0]]
        neighbours = torch.sparse_coo_tensor(
            pairs, share, (len(vertices), len(vertices)), check_invariants=True
        )
        return cls(vertices, faces, face_normals, F.normalize(normals, dim=1), neighbours.coalesce())

    def smoothed(self, values: Tensor, rounds: int) -> Tensor:
        """Means over neighbourhoods of [V] or [V, C], several times over."""
        columns = values if values.dim() == 2 else values[:, None]
        for _ in range(rounds):
            columns = torch.sparse.mm(self.neighbours, columns)
        return columns.view_as(values)


def _edges(mesh: _Mesh) -> Tensor:
    """[V] in [0, 1], zero on what is flat or hollow."""
    normal = mesh.smoothed(mesh.normals, _ROUNDS)
    sharpness = ((1 - normal.norm(dim=1) - _BLUNT) / (_SHARP - _BLUNT)).clamp(0, 1)
    convex = ((mesh.vertices - mesh.smoothed(mesh.vertices, _ROUNDS)) * normal).sum(dim=1) > 0
    # The neighbours of a sharp place come along.
    return (1.5 * mesh.smoothed(sharpness * convex, 2)).clamp_max(1)


def _gaps(mesh: _Mesh, alpha: Tensor, camera: Cameras) -> tuple[Tensor, Tensor]:
    """How far in front of the vertices of the rim the outline lies, in world units; negative behind.

    Args:
        mesh: whose rim it is.
        alpha: [H, W] of the Gaussians.
        camera: one.

    Returns:
        [R] indices of vertices and [R] distances along their normals; those that something lies behind are left out.
    """
    rim = _rim(mesh, camera)
    points, normals = mesh.vertices[rim], mesh.normals[rim]
    pixels, depth = project(points, camera)[:, 0], planar_depth(points, camera)[0]
    outwards = normals @ camera.world_to_camera[0, :2, :3].T
    offsets = torch.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    places = pixels[:, None] + offsets[:, None] * F.normalize(outwards, dim=1)[:, None]
    grid = places / alpha.shape[-1] * 2 - 1
    seen = F.grid_sample(alpha[None, None], grid[None], align_corners=False)[0, 0]
    covered = seen > _RIM
    last = (covered * torch.arange(1, len(offsets) + 1)).amax(dim=1) - 1
    # Where it goes on beyond a gap, or never ends, the outline is another part's.
    apart = (~covered & (offsets >= 0) & (torch.arange(len(offsets)) < last[:, None])).any(dim=1)
    found = (last >= 0) & (last < len(offsets) - 1) & ~apart
    rim, last, seen, depth = rim[found], last[found, None], seen[found], depth[found]
    inside, outside = seen.gather(1, last)[:, 0], seen.gather(1, last + 1)[:, 0]
    gap = offsets[last[:, 0]] + _STEP * (inside - _RIM) / (inside - outside)
    return rim, gap * depth / camera.K[0, 0, 0]


def _rim(mesh: _Mesh, camera: Cameras) -> Tensor:
    """[R] vertices between a face that looks at the camera and one that does not, themselves looking sideways."""
    position = camera.positions[0]
    middles = mesh.vertices[mesh.faces].mean(dim=1)
    towards = ((mesh.face_normals * (position - middles)).sum(dim=1) > 0).float().repeat_interleave(3)
    count = torch.zeros(len(mesh.vertices))
    facing = count.index_add(0, mesh.faces.flatten(), towards)
    turned_away = count.index_add(0, mesh.faces.flatten(), 1 - towards)
    sight = F.normalize(mesh.vertices - position, dim=1)
    sideways = (mesh.normals * sight).sum(dim=1).abs() < _SIDEWAYS
    return ((facing > 0) & (turned_away > 0) & sideways).nonzero().flatten()
