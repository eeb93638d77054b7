"""From Gaussians to a closed mesh: how much each point is covered, filled inside, marching cubes, fewer triangles."""

from __future__ import annotations

import fast_simplification
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation
from skimage.measure import block_reduce
from torch import Tensor

from placid_kedro.cameras.rays import CUBE_HALF_EXTENT
from placid_kedro.errors import DataError
from placid_kedro.export.config import MeshParameters
from placid_kedro.export.outline import towards_outline
from placid_kedro.export.separation import separated
from placid_kedro.splats import Gaussians
from placid_kedro.surface.extraction import Surface, iso_surface

_REACH = 3.0
_LARGEST_OPACITY = 0.999
# Standard deviations from a Gaussian's centre to where it ends to the eye.
_RIM = 2.0
_WITHOUT_FLOATERS = 0.999
# The grid has as many points more along an edge, and no more: what is far larger than the cube gets larger voxels.
_LARGEST_GRID = 1.25
# Open places of the shell up to twice as many voxels wide are closed before the inside is filled.
_CLOSED_VOXELS = 2
_SOFT_VOXELS = 0.8
# Of the level: thin parts are fainter than bodies, whose surface is looked for higher up.
_FAINT = 0.2
# In voxels: how far from what is dense a thin part begins, how large it is, how far it reaches back.
_APART, _SMALLEST_THIN, _BRIDGE = 3, 30, 4
# In voxels, an edge of the blocks in which inside and outside of a body are told apart, and in such blocks.
_BLOCK, _CLOSED_BLOCKS = 3, 3
# The library's default, 7, leaves more edges with four faces.
_AGGRESSIVENESS = 5
# Of a coordinate: nearer points are one for programs that merge vertices.
_DECIMALS = 6


def optical_depth_grid(gaussians: Gaussians, resolution: int) -> Tensor:
    """Sum over the Gaussians of `-log(1 - opacity * exp(-m^2 / 2))`, m the Mahalanobis distance.

    Gaussians thinner than half a voxel count as that thick, so that the grid does not miss them.

    Returns:
        [R, R, R] float32 over the cube, its corners included, indexed x, y, z.
    """
    edge = 2 * CUBE_HALF_EXTENT / (resolution - 1)
    rotations = _rotations(gaussians.quats).numpy()
    scales = gaussians.scales.clamp_min(edge / 2).double().numpy()
    means, opacities = (
        gaussians.means.double().numpy(),
        gaussians.opacities.clamp_max(_LARGEST_OPACITY).numpy(),
    )
    axis = np.linspace(-CUBE_HALF_EXTENT, CUBE_HALF_EXTENT, resolution)
    grid = np.zeros((resolution,) * 3)
    # Half-widths of the boxes that hold the ellipsoids: roots of the covariances' diagonals.
    reaches = _REACH * np.sqrt(np.einsum("nij,nj->ni", rotations**2, scales**2))
    low = np.clip(np.ceil((means - reaches + CUBE_HALF_EXTENT) / edge), 0, resolution).astype(int)
    high = np.clip(np.floor((means + reaches + CUBE_HALF_EXTENT) / edge) + 1, 0, resolution).astype(int)
    for index in np.flatnonzero((high > low).all(axis=1)):
        box = tuple(slice(*ends) for ends in zip(low[index], high[index], strict=True))
        offsets = np.stack(np.meshgrid(*(axis[part] for part in box), indexing="ij"), axis=-1) - means[index]
        along = offsets @ (rotations[index] / scales[index])
        weight = opacities[index] * np.exp(-0.5 * np.square(along).sum(axis=-1))
        grid[box] -= np.log1p(-weight)
    return torch.from_numpy(grid).float()


def mesh_of(gaussians: Gaussians, parameters: MeshParameters) -> Surface:
    """A closed mesh around Gaussians, filled where their openings are small.

    Raises:
        DataError: the Gaussians cover nothing of the cube densely enough.
    """
    gaussians = gaussians.detach().to("cpu")
    half_edge = _half_edge(gaussians)
    larger = half_edge / CUBE_HALF_EXTENT
    resolution = round(parameters.resolution * min(larger, _LARGEST_GRID))
    grid = optical_depth_grid(gaussians.scaled(1 / larger), resolution)
    in_cube = iso_surface(torch.from_numpy(_solid(grid.numpy(), parameters)), 0.5)
    surface = Surface(in_cube.vertices * larger, in_cube.faces)
    if len(surface.faces) > parameters.faces:
        surface = _simplified(surface, parameters)
    return towards_outline(surface, gaussians, parameters.outline)


def _simplified(surface: Surface, parameters: MeshParameters) -> Surface:
    """A closed mesh of so many triangles, and a few more where it had to be parted."""
    vertices, faces = fast_simplification.simplify(
        surface.vertices.numpy(),
        surface.faces.numpy(),
        target_count=parameters.faces,
        agg=_AGGRESSIVENESS,
    )
    parted, closed = separated(*_merged(vertices.astype(np.float64), faces))
    # Parting leaves splinters; what was a part before is still about as large as it was.
    kept = _without_splinters(parted, closed, parameters.smallest_part / 2)
    used, places = np.unique(kept, return_inverse=True)
    return Surface(torch.from_numpy(parted[used]).float(), torch.from_numpy(places.reshape(-1, 3)))


def _without_splinters(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], smallest_part: float
) -> NDArray[np.int64]:
    """The faces of closed pieces that have a share of the largest one's volume or more."""
    edges = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    graph = coo_array((np.ones(edges.shape[1]), edges), shape=(len(vertices),) * 2)
    _, pieces = connected_components(graph, directed=False)
    first, second, third = vertices[faces].transpose(1, 0, 2)
    volumes = np.bincount(pieces[faces[:, 0]], np.einsum("fx,fx->f", first, np.cross(second, third)))
    large = volumes >= smallest_part * volumes.max()
    kept: NDArray[np.int64] = faces[large[pieces[faces[:, 0]]]]
    return kept


def _half_edge(gaussians: Gaussians) -> float:
    """Half an edge of the grid: the cube's, or more where the object stands out of it; floaters do not count."""
    ends = gaussians.means.abs().amax(dim=1) + _RIM * gaussians.scales.amax(dim=1)
    ordered = ends.sort().values
    return max(CUBE_HALF_EXTENT, float(ordered[round(_WITHOUT_FLOATERS * (len(ordered) - 1))]))


def _merged(
    vertices: NDArray[np.float64], faces: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices that simplification moved onto each other as one, without the faces between them."""
    places, index = np.unique(vertices.round(_DECIMALS), axis=0, return_inverse=True)
    joined = index.ravel()[faces].astype(np.int64)
    flat = (joined == np.roll(joined, 1, axis=1)).any(axis=1)
    return places, joined[~flat]


def _solid(grid: NDArray[np.float32], parameters: MeshParameters) -> NDArray[np.float32]:
    """[R, R, R], 1 inside and 0 outside with a soft edge: what is dense and thin parts, pits closed, crumbs gone."""
    dense = grid > parameters.level
    if not dense.any():
        raise DataError(
            f"The Gaussians cover nothing up to an optical depth of {parameters.level}; lower export.mesh.level."
        )
    margin = _CLOSED_VOXELS + 1
    # The margin lets the closing reach the cube's faces without eating into them.
    padded = np.pad(dense | _thin_parts(dense, grid > _FAINT * parameters.level), margin)
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(padded, iterations=_CLOSED_VOXELS))
    inside = filled[margin:-margin, margin:-margin, margin:-margin].astype(np.float32)
    soft: NDArray[np.float32] = ndimage.gaussian_filter(inside, _SOFT_VOXELS)
    soft[_crumbs(soft > 0.5, parameters.smallest_part)] = 0
    return soft


def _thin_parts(dense: NDArray[np.bool_], faint: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is faint and stands out of the body, away from all that is dense, with its way back there."""
    body = _hull(dense) | ndimage.binary_dilation(dense, iterations=_APART)
    labels, volumes = _pieces(faint & ~body)
    parts = np.isin(labels, 1 + np.flatnonzero(volumes >= _SMALLEST_THIN))
    bridged: NDArray[np.bool_] = faint & ndimage.binary_dilation(parts, iterations=_BRIDGE)
    return bridged


def _hull(dense: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is dense with all that lies inside, openings of the shell up to six blocks wide closed; in blocks."""
    blocks = block_reduce(dense, _BLOCK, np.max)
    margin = _CLOSED_BLOCKS + 1
    closed = ndimage.binary_closing(np.pad(blocks, margin), iterations=_CLOSED_BLOCKS)
    hull = ndimage.binary_fill_holes(closed)[margin:-margin, margin:-margin, margin:-margin]
    fine = hull.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)
    return fine[tuple(slice(edge) for edge in dense.shape)]


def _crumbs(solid: NDArray[np.bool_], smallest_part: float) -> NDArray[np.bool_]:
    """Where pieces lie that have less than a share of the largest one's volume."""
    labels, volumes = _pieces(solid)
    crumbs: NDArray[np.bool_] = np.isin(labels, 1 + np.flatnonzero(volumes < smallest_part * volumes.max()))
    return crumbs


def _pieces(marked: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The connected pieces' numbers, from 1 on, and how many voxels each has."""
    labels, count = ndimage.label(marked)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def _rotations(quats: Tensor) -> Tensor:
    """[N, 3, 3] float64 of quaternions wxyz [N, 4] of any length."""
    return torch.from_numpy(Rotation.from_quat(quats.double().numpy(), scalar_first=True).as_matrix())
