"""`rasterization` on the CPU, out of the two differentiable kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import ParameterError
from placid_kedro.splats.cpu.autograd import CHANNELS, Composite, Project
from placid_kedro.splats.splatting import Splatting


def rasterize(given: Splatting) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """See `placid_kedro.splats.rasterization`, which has checked what is given."""
    viewmats, Ks, width, height = given.viewmats, given.Ks, given.width, given.height
    if viewmats.requires_grad or Ks.requires_grad:
        raise ParameterError(
            "viewmats or Ks require a gradient, which the CPU rasterizer does not have; detach them."
        )
    trailing = 1 if given.sh_degree is None else 2
    colors, opacities = _without_broken_colors(given.colors, given.opacities, trailing)
    means2d, conics, depths, radii = Project.apply(
        given.means, given.quats, given.scales, opacities, viewmats, Ks, width, height,
        given.near_plane, given.far_plane, given.eps2d, given.radius_clip,
    )  # fmt: skip
    features, backgrounds = _channels(given, colors, depths, radii)
    if given.absgrad and features.shape[-1] > CHANNELS:
        raise ParameterError(f"absgrad needs at most {CHANNELS} channels, got {features.shape[-1]}.")
    images = []
    for block in features.split(CHANNELS, dim=-1):
        padded = F.pad(block, (0, CHANNELS - block.shape[-1]))
        image, alphas = Composite.apply(
            means2d, conics, opacities, padded, depths, radii, width, height, given.absgrad
        )
        images.append(image[..., : block.shape[-1]])
    image = images[0] if len(images) == 1 else torch.cat(images, dim=-1)
    if backgrounds is not None:
        image = image + (1.0 - alphas) * backgrounds[:, None, None, :]
    if given.render_mode in ("ED", "RGB+ED"):
        expected = image[..., -1:] / alphas.clamp(min=1e-10)
        image = torch.cat([image[..., :-1], expected], dim=-1)
    meta = {
        "batch_ids": None,
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities.expand(len(viewmats), -1),
        "width": width,
        "height": height,
        "n_batches": 1,
        "n_cameras": len(viewmats),
    }
    return image, alphas, meta


def _channels(
    given: Splatting, colors: Tensor, depths: Tensor, radii: Tensor
) -> tuple[Tensor, Tensor | None]:
    """[C, N, D] what is blended, by the render mode, and what stands behind it."""
    if given.render_mode in ("D", "ED"):
        return depths[..., None], None  # depth has no background
    degree, views = given.sh_degree, given.viewmats
    features = colors if degree is None else _sh_colors(degree, given.means, views, colors, radii)
    features = features.expand(len(views), len(given.means), -1)
    if given.render_mode == "RGB":
        return features, given.backgrounds
    backgrounds = None if given.backgrounds is None else F.pad(given.backgrounds, (0, 1))
    return torch.cat([features, depths[..., None]], dim=-1), backgrounds


def compile_kernels() -> None:
    """Compile every kernel, or load it from numba's cache, so that the first rendering does not have to.

    About ten seconds on one free core the first time, less than a second from then on.
    """
    image, alphas, _ = rasterize(
        Splatting(
            means=torch.tensor([[0.0, 0.0, 1.0]]).requires_grad_(),
            quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
            scales=torch.full((1, 3), 0.1),
            opacities=torch.tensor([0.5]),
            colors=torch.zeros(1, 3),
            viewmats=torch.eye(4)[None],
            Ks=torch.tensor([[[8.0, 0.0, 4.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]]]),
            width=8,
            height=8,
        )
    )
    (image.sum() + alphas.sum()).backward()


def _without_broken_colors(colors: Tensor, opacities: Tensor, trailing: int) -> tuple[Tensor, Tensor]:
    """Make Gaussians with a colour that is not finite transparent: projection drops them like the others.

    `trailing`: dimensions of one Gaussian's colour, 1 for plain colours, 2 for spherical harmonics.
    """
    whole = torch.isfinite(colors).flatten(-trailing).all(dim=-1)  # [N] or [C, N]
    if whole.all():
        return colors, opacities
    everywhere = whole if whole.ndim == 1 else whole.all(dim=0)
    mask = everywhere.reshape(-1, *(1,) * trailing)
    return torch.where(mask, colors, 0.0), torch.where(everywhere, opacities, 0.0)


def _sh_colors(degree: int, means: Tensor, viewmats: Tensor, coefficients: Tensor, radii: Tensor) -> Tensor:
    """[C, N, 3] colours seen from each camera, 0.5 + sum of the bands, not below 0; 0.5 where not visible."""
    from gsplat.cuda._torch_impl import _spherical_harmonics

    visible = (radii > 0).all(dim=-1)[..., None]
    used = coefficients[..., : (degree + 1) ** 2, :].expand(len(viewmats), -1, -1, -1)
    positions = -torch.einsum("cji,cj->ci", viewmats[:, :3, :3], viewmats[:, :3, 3])
    directions = torch.where(
        visible, means - positions[:, None], 1.0
    )  # 1: no NaN gradient from what is not seen
    values = _spherical_harmonics(degree, directions, used)
    return torch.where(visible, values, 0.0).add(0.5).clamp_min(0.0)
