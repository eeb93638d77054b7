"""How much of each Gaussian views show, and a finished object without those that none shows."""

from __future__ import annotations

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras, sphere
from placid_kedro.splats.config import UnseenParameters
from placid_kedro.splats.gaussians import Gaussians
from placid_kedro.splats.rasterizer import rasterization

# From there the cube's corners lie within the images.
_DISTANCE, _FIELD_OF_VIEW_DEG = 1.9, 55.0
_VIEWS_AT_A_TIME = 8


def largest_weights(gaussians: Gaussians, cameras: Cameras) -> Tensor:
    """How much each Gaussian shows in the view that shows it most, in pixels.

    In a view that is the sum over the pixels of its blending weight, opacity there times what those in front let
    through: the derivative of the image's sum by its colour.

    Args:
        gaussians: N Gaussians.
        cameras: on the same device.

    Returns:
        [N] float32, zero for a Gaussian that no view shows.
    """
    scene, largest = gaussians.detach(), torch.zeros_like(gaussians.logit_opacities)
    for indices in torch.arange(len(cameras)).split(_VIEWS_AT_A_TIME):
        some = cameras[indices]
        colors = scene.means.new_ones(len(some), len(scene), 1, requires_grad=True)
        image, _, _ = rasterization(
            scene.means,
            scene.quats,
            scene.scales,
            scene.opacities,
            colors,
            some.world_to_camera,
            some.K,
            some.width,
            some.height,
        )
        (weights,) = torch.autograd.grad(image.sum(), colors)
        largest = torch.maximum(largest, weights[..., 0].amax(dim=0))
    return largest


def without_unseen(gaussians: Gaussians, parameters: UnseenParameters) -> Gaussians:
    """Leave out the Gaussians that `are_seen` does not mark: those inside the body, and dust."""
    return gaussians.subset(are_seen(gaussians, parameters))


def are_seen(gaussians: Gaussians, parameters: UnseenParameters) -> Tensor:
    """Which Gaussians show from some side.

    The faintest do not, one after the other, as long as all of these make up no more than a share of the whole; so it
    does not matter how many Gaussians an object has, and how large they are.

    Args:
        gaussians: N of them.
        parameters: from how many sides they are looked at, and the share.

    Returns:
        [N] bool; all of them where the views show nothing.
    """
    cameras = sphere(parameters.views, _DISTANCE, _FIELD_OF_VIEW_DEG, parameters.image_size)
    weights = largest_weights(gaussians, cameras.to(gaussians.means.device)).double()
    whole = weights.sum()
    if not whole > 0:
        return torch.ones_like(weights, dtype=torch.bool)
    order = torch.argsort(weights, stable=True)
    kept = torch.ones_like(weights, dtype=torch.bool)
    kept[order[weights[order].cumsum(dim=0) <= parameters.share * whole]] = False
    return kept
