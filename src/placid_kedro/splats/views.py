"""Gaussians seen by cameras, as images in the house's layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.errors import ShapeError
from placid_kedro.splats.gaussians import Gaussians
from placid_kedro.splats.rasterizer import rasterization


@dataclass(frozen=True)
class RenderedViews:
    """What C cameras see.

    Attributes:
        rgb: [C, 3, H, W] colours over the background; not clamped above 1.
        alpha: [C, 1, H, W] opacity in [0, 1].
        depth: [C, 1, H, W] expected planar depth, world units; 0 where nothing is.
        meta: what densification reads, see `rasterization`.
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    meta: dict[str, Any]


def render(
    gaussians: Gaussians, cameras: Cameras, background: Tensor, *, absgrad: bool = False
) -> RenderedViews:
    """Splat Gaussians into every camera; differentiable by the Gaussians and the background.

    Args:
        gaussians: N Gaussians.
        cameras: C cameras on the same device.
        background: [3] or [C, 3] colours in [0, 1].
        absgrad: see `rasterization`.

    Raises:
        ShapeError: the background has another shape.
    """
    if tuple(background.shape) not in ((3,), (len(cameras), 3)):
        raise ShapeError(
            f"background has shape {tuple(background.shape)}, expected (3,) or ({len(cameras)}, 3)."
        )
    images, alphas, meta = rasterization(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        cameras.world_to_camera,
        cameras.K,
        cameras.width,
        cameras.height,
        sh_degree=gaussians.sh_degree,
        backgrounds=background.to(gaussians.means).expand(len(cameras), 3),
        render_mode="RGB+ED",
        absgrad=absgrad,
    )
    channels_first = images.permute(0, 3, 1, 2)
    return RenderedViews(channels_first[:, :3], alphas.permute(0, 3, 1, 2), channels_first[:, 3:], meta)
