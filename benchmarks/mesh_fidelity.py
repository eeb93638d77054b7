"""How near exported meshes are to their Gaussians, in space and in pictures.

    python benchmarks/mesh_fidelity.py data/08_reporting/*/gaussians.ply
    python benchmarks/mesh_fidelity.py --params level=0.2,outline=0 data/08_reporting/a-cactus/gaussians.ply

Each object becomes a GLB as `export` writes it. Printed are the mean distance of the Gaussians' centres to the mesh in
hundredths of the cube's edge, the PSNR of four views of the textured GLB without light against the splats' views (each,
and of all pixels together), whether the mesh is closed, its pieces, and the seconds of processor time that it took.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import trimesh
import yaml
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from placid_kedro.cameras import Cameras, ring
from placid_kedro.export.config import MeshParameters
from placid_kedro.export.meshing import mesh_of
from placid_kedro.export.texturing import write_textured_glb
from placid_kedro.splats import Gaussians, load_ply, render

SIZE, SUPERSAMPLE = 128, 2
# Triangles with the nearest middles, among which the nearest one is looked for.
NEIGHBOURS = 24


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--params", default="", help="of export.mesh, NAME=VALUE,...")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = yaml.safe_load(Path("conf/base/parameters_export.yml").read_text())["export"]["mesh"]
    changes = dict(pair.split("=", 1) for pair in given.params.split(",") if pair)
    parameters = MeshParameters(**settings | {name: yaml.safe_load(value) for name, value in changes.items()})
    print(
        "| object | Gaussians | mean distance | PSNR of the views | together | closed | pieces | faces | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for file in given.files:
        print(f"| {file.parent.name} | {row(load_ply(file), parameters)} |", flush=True)


def row(gaussians: Gaussians, parameters: MeshParameters) -> str:
    """What is printed of one object."""
    with tempfile.TemporaryDirectory() as folder:
        path, start = Path(folder) / "object.glb", time.process_time()
        surface = mesh_of(gaussians, parameters)
        write_textured_glb(gaussians, surface, path, parameters)
        seconds = time.process_time() - start
        mesh = trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy(), process=False)
        cameras = ring(4, 20.0, 1.5, 49.13, SIZE)
        with torch.no_grad():
            splats = render(gaussians, cameras, torch.ones(3)).rgb.clamp(0, 1).permute(0, 2, 3, 1).numpy()
        errors = np.square(pictures(path, cameras) - splats).mean(axis=(1, 2, 3))
    each = ", ".join(f"{decibels(error):.1f}" for error in errors)
    distance = 100 * distances(mesh, gaussians.means.double().numpy()).mean()
    return (
        f"{len(gaussians):,} | {distance:.3f}% | {each} | {decibels(errors.mean()):.1f} | "
        f"{mesh.is_watertight} | {mesh.body_count} | {len(mesh.faces)} | {seconds:.1f}"
    )


def decibels(error: float) -> float:
    return float(-10 * np.log10(error))


def distances(mesh: trimesh.Trimesh, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """[P] from points to the mesh."""
    _, near = cKDTree(mesh.triangles_center).query(points, k=min(NEIGHBOURS, len(mesh.faces)))
    found = [
        np.linalg.norm(trimesh.triangles.closest_point(mesh.triangles[column], points) - points, axis=1)
        for column in near.T
    ]
    least: NDArray[np.float64] = np.min(found, axis=0)
    return least


def pictures(path: Path, cameras: Cameras) -> NDArray[np.float64]:
    """[V, H, W, 3] of a GLB's texture over white."""
    mesh = trimesh.load(path, force="mesh", process=False)
    # The file's (x, y, z) are the world's (y, z, x).
    vertices = np.ascontiguousarray(mesh.vertices[:, [2, 0, 1]], np.float32)
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")) / 255
    scene = EmbreeScene()
    TriangleMesh(scene, vertices, np.ascontiguousarray(mesh.faces, np.int32))
    fine = cameras.resized(SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE)
    edge = np.arange(fine.width) + 0.5
    pixels = np.stack([*np.meshgrid(edge, edge), np.ones((fine.height, fine.width))], axis=-1).reshape(-1, 3)
    images = []
    for view in range(len(fine)):
        to_world = np.linalg.inv(fine.K[view].numpy()).T @ fine.world_to_camera[view, :3, :3].numpy()
        directions = np.ascontiguousarray(pixels @ to_world, np.float32)
        origins = np.repeat(fine.positions[view : view + 1].numpy(), len(directions), axis=0)
        hits = scene.run(np.ascontiguousarray(origins, np.float32), directions, output=True)
        hit = hits["primID"] >= 0
        weights = np.stack([1 - hits["u"] - hits["v"], hits["u"], hits["v"]], axis=1)[hit]
        uv = np.einsum("pc,pcx->px", weights, mesh.visual.uv[mesh.faces[hits["primID"][hit]]])
        place = np.stack([(1 - uv[:, 1]) * texture.shape[0], uv[:, 0] * texture.shape[1]]) - 0.5
        image = np.ones((len(pixels), 3))
        image[hit] = np.stack(
            [map_coordinates(texture[..., one], place, order=1, mode="nearest") for one in range(3)], axis=1
        )
        images.append(image.reshape(SIZE, SUPERSAMPLE, SIZE, SUPERSAMPLE, 3).mean(axis=(1, 3)))
    return np.stack(images)


if __name__ == "__main__":
    main()
