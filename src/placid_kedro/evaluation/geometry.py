"""How near an object comes to a real one, where the real one is known: from views of both and from their surfaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.color import rgb2lab
from torch import Tensor
from trimesh import Trimesh
from trimesh.registration import icp
from trimesh.sample import sample_surface

from placid_kedro.cameras import Cameras, ring
from placid_kedro.errors import DataError, ShapeError
from placid_kedro.evaluation.view_metrics import silhouette_iou
from placid_kedro.images import over_white
from placid_kedro.rendering import Mesh, render_mesh
from placid_kedro.splats import Gaussians, render

VIEWS, ELEVATION_DEG, DISTANCE, FIELD_OF_VIEW_DEG, IMAGE_SIZE = 12, 20.0, 1.5, 49.13, 128
_SURFACE_POINTS = 4000
# Nearer to the edge the gradient is that of the silhouette, not of what is drawn inside.
_EDGE_PIXELS = 2
_SEEN = 0.5
# A view from behind faces the viewer when it is this much nearer to the true front than to its own true view.
_FRONT_MARGIN = 0.9
_FRONT_DEG, _BEHIND_DEG = 30.0, 110.0

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RealObject:
    """A real object, seen all round.

    Attributes:
        images: [V, 3, H, W] float32 in [0, 1], over white.
        alphas: [V, H, W] float32 in [0, 1].
        cameras: V, evenly spaced in azimuth, the first in front.
        points: [P, 3] float64, evenly on its surface.
    """

    images: Tensor
    alphas: Tensor
    cameras: Cameras
    points: Array


@dataclass(frozen=True)
class GeometryScores:
    """An object beside the real one; means over the views.

    Attributes:
        silhouette_iou: in [0, 1].
        chamfer: mean distance of surface points to the other surface, both ways, after alignment; in edges of the cube.
        color_distance: CIE76 distance in CIE Lab where both are seen.
        chroma: of the real object's, 1 where colours are as strong.
        detail: gradient energy inside both silhouettes, of the real object's.
        second_fronts: share of the views from behind that look like the front.
    """

    silhouette_iou: float
    chamfer: float
    color_distance: float
    chroma: float
    detail: float
    second_fronts: float


def real_object(
    mesh: Mesh, seed: int = 0, paint: Callable[[Tensor], Tensor] = lambda rgba: rgba
) -> RealObject:
    """Render a mesh, which lies in the unit cube with its front towards +x, and sample its surface.

    Args:
        mesh: of the object.
        seed: of the surface points.
        paint: gives the views [V, H, W, 4] in [0, 1] other colours.
    """
    cameras = ring(VIEWS, ELEVATION_DEG, DISTANCE, FIELD_OF_VIEW_DEG, IMAGE_SIZE)
    rgba = paint(torch.from_numpy(render_mesh(mesh, cameras).rgba).float() / 255).permute(0, 3, 1, 2)
    alphas = rgba[:, 3]
    points, _ = sample_surface(Trimesh(mesh.vertices, mesh.faces, process=False), _SURFACE_POINTS, seed=seed)
    return RealObject(over_white(rgba), alphas, cameras, np.asarray(points))


def geometry_scores(gaussians: Gaussians, real: RealObject) -> GeometryScores:
    """Compare Gaussians with a real object from the same cameras, drawn on the device that the Gaussians are on.

    Raises:
        DataError: when nothing of the Gaussians can be seen.
    """
    images, alphas = _photographs(gaussians, real.cameras)
    seen = gaussians.means[gaussians.opacities > _SEEN].cpu()
    if not bool((alphas > _SEEN).any()) or not len(seen):
        raise DataError(
            "The object cannot be seen: no Gaussian of it is opaque; make it again with another seed."
        )
    color_distance, chroma = color_scores(images, alphas, real.images, real.alphas)
    return GeometryScores(
        silhouette_iou=float(silhouette_iou(alphas, real.alphas).mean()),
        chamfer=aligned_chamfer(seen.double().numpy(), real.points),
        color_distance=color_distance,
        chroma=chroma,
        detail=detail_ratio(images, alphas, real.images, real.alphas),
        second_fronts=second_fronts(images, real),
    )


def nearest_object(gaussians: Gaussians, candidates: Sequence[RealObject]) -> int:
    """Index of the candidate whose views are nearest to the Gaussians' (mean squared difference, over white)."""
    images, _ = _photographs(gaussians, candidates[0].cameras)
    return int(np.argmin([float((images - one.images).square().mean()) for one in candidates]))


@torch.no_grad()
def _photographs(gaussians: Gaussians, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Images [V, 3, H, W] over white in [0, 1] and alphas [V, H, W], on the CPU."""
    device = gaussians.means.device
    views = render(gaussians, cameras.to(device), torch.ones(3, device=device))
    return views.rgb.clamp(0, 1).cpu(), views.alpha[:, 0].cpu()


def color_scores(images: Tensor, alphas: Tensor, truth: Tensor, true_alphas: Tensor) -> tuple[float, float]:
    """Mean CIE76 distance of two sets of images [V, 3, H, W] where both alphas [V, H, W] exceed one half, and the ratio
    of their mean chromas, sqrt(a^2 + b^2)."""
    _check_views(images, alphas, truth, true_alphas)
    both = ((alphas > _SEEN) & (true_alphas > _SEEN)).numpy()
    if not both.any():
        return float("nan"), float("nan")
    first, second = (rgb2lab(part.permute(0, 2, 3, 1).double().numpy())[both] for part in (images, truth))
    chromas = [np.linalg.norm(part[:, 1:], axis=1).mean() for part in (first, second)]
    return float(np.linalg.norm(first - second, axis=1).mean()), float(chromas[0] / max(chromas[1], 1.0))


def detail_ratio(images: Tensor, alphas: Tensor, truth: Tensor, true_alphas: Tensor) -> float:
    """Mean gradient magnitude of the brightness inside both silhouettes, away from their edges, of the second images';
    shapes as for `color_scores`."""
    _check_views(images, alphas, truth, true_alphas)
    both = ((alphas > _SEEN) & (true_alphas > _SEEN)).numpy()
    inside = np.stack([ndimage.binary_erosion(view, iterations=_EDGE_PIXELS) for view in both])
    if not inside.any():
        return float("nan")
    energies = [_gradient(part)[inside].mean() for part in (images, truth)]
    return float(energies[0] / max(energies[1], 1e-6))


def second_fronts(images: Tensor, real: RealObject) -> float:
    """Share of the views [V, 3, H, W] from behind that are clearly nearer to the real object's front, or to one of the
    views beside it, than to its own view from there. Objects that look alike from both sides have none."""
    azimuth = np.arange(len(images)) * 360.0 / len(images)
    turned = np.minimum(azimuth, 360 - azimuth)
    front, behind = np.flatnonzero(turned <= _FRONT_DEG), np.flatnonzero(turned >= _BEHIND_DEG)
    distances = _pairwise(images[behind], real.images)
    own, nearest_front = distances[np.arange(len(behind)), behind], distances[:, front].min(axis=1)
    return float((nearest_front < _FRONT_MARGIN * own).mean())


def aligned_chamfer(points: Array, others: Array) -> float:
    """Mean of the mean nearest distances both ways, after points [P, 3] were brought onto others [Q, 3] by place and
    size of their boxes and then by rigid ICP with scale (Besl and McKay 1992)."""
    low, high = points.min(axis=0), points.max(axis=0)
    true_low, true_high = others.min(axis=0), others.max(axis=0)
    scale = np.linalg.norm(true_high - true_low) / max(float(np.linalg.norm(high - low)), 1e-9)
    moved = (points - (low + high) / 2) * scale + (true_low + true_high) / 2
    _, aligned, _ = icp(moved, others, max_iterations=30, reflection=False, scale=True)
    candidates = [_chamfer(cloud, others) for cloud in (points, moved, np.asarray(aligned))]
    return min(candidates)


def _chamfer(points: Array, others: Array) -> float:
    there, _ = cKDTree(others).query(points)
    back, _ = cKDTree(points).query(others)
    return float((there.mean() + back.mean()) / 2)


def _gradient(images: Tensor) -> Array:
    """[V, H, W] magnitude of the brightness's central differences."""
    brightness = images.mean(dim=1).double().numpy()
    rows, columns = np.gradient(brightness, axis=(1, 2))
    magnitude: Array = np.hypot(rows, columns)
    return magnitude


def _pairwise(images: Tensor, truth: Tensor) -> Array:
    """[N, M] mean squared differences of images [N, 3, H, W] and [M, 3, H, W]."""
    distances: Array = (images[:, None] - truth[None]).square().mean(dim=(2, 3, 4)).double().numpy()
    return distances


def _check_views(images: Tensor, alphas: Tensor, truth: Tensor, true_alphas: Tensor) -> None:
    expected = (len(images), 3, *alphas.shape[1:])
    if images.shape != expected or truth.shape != images.shape or true_alphas.shape != alphas.shape:
        raise ShapeError(
            f"Views and true views must be [V, 3, H, W] with alphas [V, H, W], got {list(images.shape)}, "
            f"{list(alphas.shape)}, {list(truth.shape)} and {list(true_alphas.shape)}."
        )
