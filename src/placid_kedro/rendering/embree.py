"""Ray casting on the CPU with Embree: RGBA and planar depth of a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from placid_kedro.cameras import Cameras
from placid_kedro.rendering.mesh import FloatArray, Mesh, add_emission, surface_color

# A grey world: most light from everywhere, a little more from above, so that shape shows in one colour.
AMBIENT, FROM_ABOVE, FROM_THE_EYE = 0.62, 0.22, 0.16
MAX_LAYERS = 6
# Half-transparent glass still belongs to the object; what lets more light through than this is a hole.
ALPHA_CUTOFF = 0.12
_STEP_PAST_SURFACE = 2e-5
# A vertex nearer to the camera, or behind it, has no place in the image.
_NEAREST = 1e-3


@dataclass(frozen=True)
class Render:
    """Images of one mesh.

    Attributes:
        rgba: [C, H, W, 4] uint8, straight (not premultiplied) alpha.
        depth: [C, H, W] float32, planar depth (camera z) of the first surface, 0 where there is none.
    """

    rgba: NDArray[np.uint8]
    depth: FloatArray


def render_mesh(mesh: Mesh, cameras: Cameras, supersample: int = 2) -> Render:
    """Render a mesh under even grey light.

    Args:
        mesh: inside the unit cube.
        cameras: C views.
        supersample: rays per pixel along each axis; alpha is their share that hits.

    Returns:
        RGBA and planar depth; the depth of a pixel is the mean over its rays that hit.
    """
    scene = EmbreeScene()
    TriangleMesh(scene, mesh.vertices, mesh.faces)
    normals = _unit_normals(mesh)
    rgba = np.zeros((len(cameras), cameras.height, cameras.width, 4), np.uint8)
    depth = np.zeros((len(cameras), cameras.height, cameras.width), np.float32)
    for view in range(len(cameras)):
        camera = cameras[view]
        window = _window(mesh, camera)
        origins, directions = _rays(camera, window, supersample)
        forward = camera.world_to_camera[0, 2, :3].numpy()
        color, distance = _trace(scene, mesh, normals, origins, directions, forward)
        shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
        premultiplied = _pool(color, shape, supersample)
        coverage = premultiplied[..., 3:]
        rgb = premultiplied[..., :3] / np.maximum(coverage, 1e-6)
        rgba[view][window] = np.rint(np.concatenate([rgb, coverage], axis=-1).clip(0, 1) * 255)
        hit = _pool((distance > 0).astype(np.float32)[:, None], shape, supersample)[..., 0]
        depth[view][window] = _pool(distance[:, None], shape, supersample)[..., 0] / np.maximum(hit, 1e-6)
    return Render(rgba, depth)


def _window(mesh: Mesh, camera: Cameras) -> tuple[slice, slice]:
    """Rows and columns of pixels outside which one camera sees nothing of the mesh."""
    world_to_camera, K = camera.world_to_camera[0].numpy(), camera.K[0].numpy()
    points = mesh.vertices @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    if (points[:, 2] < _NEAREST).any():
        return slice(0, camera.height), slice(0, camera.width)
    pixels = (points @ K.T)[:, :2] / points[:, 2:]
    low, high = np.floor(pixels.min(axis=0)).astype(int) - 1, np.ceil(pixels.max(axis=0)).astype(int) + 1
    left, top = np.clip(low, 0, (camera.width, camera.height))
    right, bottom = np.clip(high, 0, (camera.width, camera.height))
    return slice(top, bottom), slice(left, right)


def _rays(camera: Cameras, window: tuple[slice, slice], supersample: int) -> tuple[FloatArray, FloatArray]:
    """Origins and directions [R, 3] of the rays through the pixels of a window, as `Cameras.rays` gives them."""
    fine = camera.resized(camera.width * supersample, camera.height * supersample)
    rows, columns = (
        torch.arange(part.start * supersample, part.stop * supersample, dtype=torch.float32) + 0.5
        for part in window
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    in_camera = pixels @ torch.linalg.inv(fine.K[0]).T
    directions: FloatArray = (in_camera @ fine.world_to_camera[0, :3, :3]).numpy()
    origins: FloatArray = np.broadcast_to(camera.positions[0].numpy(), directions.shape)
    return origins, directions


def _pool(values: FloatArray, shape: tuple[int, int], supersample: int) -> FloatArray:
    """Mean over the rays of each pixel: [R, D] to [H, W, D]."""
    grid = values.reshape(shape[0], supersample, shape[1], supersample, values.shape[-1])
    total: FloatArray = np.zeros((*shape, values.shape[-1]), np.float32)
    for row in range(supersample):
        for column in range(supersample):
            total += grid[:, row, :, column]
    return total / np.float32(supersample**2)


def _unit_normals(mesh: Mesh) -> FloatArray:
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit: FloatArray = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    return unit


def _trace(
    scene: EmbreeScene,
    mesh: Mesh,
    normals: FloatArray,
    origins: FloatArray,
    directions: FloatArray,
    forward: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Premultiplied RGBA [R, 4] and planar depth [R] (0: no hit), front to back through what is transparent."""
    color = np.zeros((len(origins), 4), np.float32)
    depth = np.zeros(len(origins), np.float32)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    active = np.arange(len(origins))
    start = np.ascontiguousarray(origins, np.float32)
    for _ in range(MAX_LAYERS):
        if not len(active):
            break
        hit = scene.run(start, unit[active].astype(np.float32), query="INTERSECT", output=True)
        found = hit["primID"] >= 0
        active, start = active[found], start[found]
        if not len(active):
            break
        face, distance = hit["primID"][found], hit["tfar"][found]
        u, v = hit["u"][found], hit["v"][found]
        surface = surface_color(mesh, face, u, v)
        lit = surface[:, :3] * _light(normals[face], unit[active])[:, None]
        surface[:, :3] = add_emission(mesh, lit, face, u, v)
        solid = surface[:, 3] > ALPHA_CUTOFF
        here = start + distance[:, None] * unit[active]
        first = solid & (depth[active] == 0)
        depth[active[first]] = (here[first] - origins[active[first]]) @ forward
        weight = np.where(solid, surface[:, 3], 0.0) * (1 - color[active, 3])
        color[active] += weight[:, None] * np.concatenate([surface[:, :3], np.ones((len(face), 1))], axis=1)
        through = color[active, 3] < 0.98
        active = active[through]
        start = (here[through] + _STEP_PAST_SURFACE * unit[active]).astype(np.float32)
    return color, depth


def _light(normals: FloatArray, directions: FloatArray) -> FloatArray:
    """Grey light on two-sided surfaces, in [0, 1]."""
    facing = np.einsum("ij,ij->i", normals, directions)
    upward = -np.sign(facing) * normals[:, 2]
    light: FloatArray = AMBIENT + FROM_ABOVE * (upward + 1) / 2 + FROM_THE_EYE * np.abs(facing)
    return light
