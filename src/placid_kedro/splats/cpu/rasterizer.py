"""`rasterization` on the CPU, out of the two differentiable kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import ParameterError
from placid_kedro.splats.cpu.autograd import CHANNELS, Composite, Project


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float,
    far_plane: float,
    radius_clip: float,
    eps2d: float,
    sh_degree: int | None,
    backgrounds: Tensor | None,
    render_mode: str,
    absgrad: bool,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """See `placid_kedro.splats.rasterization`, which has checked the arguments."""
    if viewmats.requires_grad or Ks.requires_grad:
        raise ParameterError(
            "viewmats or Ks require a gradient, which the CPU rasterizer does not have; detach them."
        )
    colors, opacities = _without_broken_colors(colors, opacities, 1 if sh_degree is None else 2)
    means2d, conics, depths, radii = Project.apply(
        means,
        quats,
        scales,
        opacities,
        viewmats,
        Ks,
        width,
        height,
        near_plane,
        far_plane,
        eps2d,
        radius_clip,
    )
    if render_mode in ("D", "ED"):
        features = depths[..., None]
        backgrounds = None  # depth has none
    else:
        features = colors if sh_degree is None else _sh_colors(sh_degree, means, viewmats, colors, radii)
        features = features.expand(len(viewmats), len(means), -1)
        if render_mode != "RGB":
            features = torch.cat([features, depths[..., None]], dim=-1)
            backgrounds = None if backgrounds is None else F.pad(backgrounds, (0, 1))
    if absgrad and features.shape[-1] > CHANNELS:
        raise ParameterError(f"absgrad needs at most {CHANNELS} channels, got {features.shape[-1]}.")

    images = []
    for block in features.split(CHANNELS, dim=-1):
        padded = F.pad(block, (0, CHANNELS - block.shape[-1]))
        image, alphas = Composite.apply(
            means2d, conics, opacities, padded, depths, radii, width, height, absgrad
        )
        images.append(image[..., : block.shape[-1]])
    image = images[0] if len(images) == 1 else torch.cat(images, dim=-1)
    if backgrounds is not None:
        image = image + (1.0 - alphas) * backgrounds[:, None, None, :]
    if render_mode in ("ED", "RGB+ED"):
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


def compile_kernels() -> None:
    """Compile every kernel, or load it from numba's cache, so that the first rendering does not have to.

    About ten seconds on one free core the first time, less than a second from then on.
    """
    means = torch.tensor([[0.0, 0.0, 1.0]]).requires_grad_()
    image, alphas, _ = rasterize(
        means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        scales=torch.full((1, 3), 0.1),
        opacities=torch.tensor([0.5]),
        colors=torch.zeros(1, 3),
        viewmats=torch.eye(4)[None],
        Ks=torch.tensor([[[8.0, 0.0, 4.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]]]),
        width=8,
        height=8,
        near_plane=0.01,
        far_plane=1e10,
        radius_clip=0.0,
        eps2d=0.3,
        sh_degree=None,
        backgrounds=None,
        render_mode="RGB",
        absgrad=False,
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
