"""One rasterizer for all devices, with the arguments and results of gsplat 1.5.3's `rasterization`."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor

from placid_kedro.errors import ParameterError, ShapeError

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: RenderMode = "RGB",
    absgrad: bool = False,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Splat N Gaussians onto the image planes of C pinhole cameras.

    Tensors on CUDA go to gsplat, tensors on the CPU to this project's own kernel, which gives the same
    results, bit for bit the same on any number of threads. Differentiable by means, quats, scales, opacities,
    colors and backgrounds. On the CPU Gaussians with NaN or infinite values are not drawn and get zero
    gradients.

    Args:
        means: [N, 3] float32 centres, world units.
        quats: [N, 4] rotations wxyz, of any length above zero.
        scales: [N, 3] standard deviations, world units, positive.
        opacities: [N] in [0, 1].
        colors: [N, D] or [C, N, D] values, or with `sh_degree` [N, K, 3] or [C, N, K, 3] coefficients of
            spherical harmonics, K >= (sh_degree + 1)^2.
        viewmats: [C, 4, 4] world to camera, OpenCV axes (x right, y down, z forward).
        Ks: [C, 3, 3] intrinsics, pixels.
        width: image width W, pixels.
        height: image height H, pixels.
        near_plane: Gaussians nearer than this along z are not drawn.
        far_plane: Gaussians farther than this along z are not drawn.
        radius_clip: Gaussians of no larger radius, pixels, are not drawn.
        eps2d: added to the variances in the image, square pixels.
        sh_degree: bands to use, 0 to 3; None for plain colours.
        backgrounds: [C, D] colours behind everything; depth has no background.
        render_mode: "RGB", "D" (sum of w_i z_i), "ED" (expected depth, D / alpha), "RGB+D" or "RGB+ED".
        absgrad: leave the pixels' summed absolute derivatives by means2d in `meta["means2d"].absgrad` on
            backward (on the CPU for at most 4 channels).

    Returns:
        (images [C, H, W, channels], alphas [C, H, W, 1], meta). Depth is the last channel. meta holds what
        gsplat's densification strategies read: "means2d" [C, N, 2] (attached, so that its gradient can be
        retained), "radii" [C, N, 2] int32 (0 where not seen), "depths", "conics", "gaussian_ids", "width",
        "height", "n_cameras".

    Raises:
        ShapeError: tensors do not fit together, have another dtype than float32 or are on several devices.
        ParameterError: width, height, render_mode, sh_degree or the planes are out of range.
    """
    _check(
        means,
        quats,
        scales,
        opacities,
        colors,
        viewmats,
        Ks,
        width,
        height,
        near_plane,
        far_plane,
        sh_degree,
        backgrounds,
        render_mode,
    )
    if means.device.type == "cuda":
        import gsplat

        return gsplat.rasterization(
            means,
            quats,
            scales,
            opacities,
            colors,
            viewmats,
            Ks,
            width,
            height,
            near_plane=near_plane,
            far_plane=far_plane,
            radius_clip=radius_clip,
            eps2d=eps2d,
            sh_degree=sh_degree,
            packed=False,
            backgrounds=backgrounds,
            render_mode=render_mode,
            absgrad=absgrad,
        )
    from placid_kedro.splats.cpu.rasterizer import rasterize

    return rasterize(
        means,
        quats,
        scales,
        opacities,
        colors,
        viewmats,
        Ks,
        width,
        height,
        near_plane,
        far_plane,
        radius_clip,
        eps2d,
        sh_degree,
        backgrounds,
        render_mode,
        absgrad,
    )


def _check(
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
    sh_degree: int | None,
    backgrounds: Tensor | None,
    render_mode: str,
) -> None:
    import torch

    n = means.shape[0] if means.ndim == 2 else -1
    c = viewmats.shape[0] if viewmats.ndim == 3 else -1
    tensors = {
        "means": (means, (n, 3)),
        "quats": (quats, (n, 4)),
        "scales": (scales, (n, 3)),
        "opacities": (opacities, (n,)),
        "viewmats": (viewmats, (c, 4, 4)),
        "Ks": (Ks, (c, 3, 3)),
    }
    for name, (tensor, shape) in tensors.items():
        if tuple(tensor.shape) != shape:
            raise ShapeError(f"{name} has shape {tuple(tensor.shape)}, expected {shape} (N={n}, C={c}).")
    trailing = 1 if sh_degree is None else 2
    leading = tuple(colors.shape[:-trailing])
    if leading not in ((n,), (c, n)):
        kind = "[(C,) N, D]" if sh_degree is None else "[(C,) N, K, 3]"
        raise ShapeError(f"colors has shape {tuple(colors.shape)}, expected {kind} with N={n}, C={c}.")
    if sh_degree is not None:
        if sh_degree not in (0, 1, 2, 3):
            raise ParameterError(f"sh_degree is {sh_degree}; use 0, 1, 2, 3 or None.")
        if colors.shape[-1] != 3 or colors.shape[-2] < (sh_degree + 1) ** 2:
            raise ShapeError(
                f"colors has shape {tuple(colors.shape)}, expected at least {(sh_degree + 1) ** 2} "
                f"coefficients of 3 channels for sh_degree {sh_degree}."
            )
    if backgrounds is not None and tuple(backgrounds.shape) != (c, colors.shape[-1]):
        raise ShapeError(
            f"backgrounds has shape {tuple(backgrounds.shape)}, expected {(c, colors.shape[-1])}."
        )
    everything = [tensor for tensor, _ in tensors.values()] + [colors]
    everything += [] if backgrounds is None else [backgrounds]
    if any(tensor.dtype != torch.float32 for tensor in everything):
        raise ShapeError("rasterization works in float32; convert all of its tensors with .float().")
    if len({tensor.device for tensor in everything}) != 1:
        raise ShapeError("rasterization's tensors are on several devices; move them to one.")
    if render_mode not in get_args(RenderMode):
        raise ParameterError(f"render_mode is {render_mode!r}; use one of {', '.join(get_args(RenderMode))}.")
    if width < 1 or height < 1:
        raise ParameterError(f"the image is {width} x {height} pixels; give at least 1 x 1.")
    if not 0.0 < near_plane < far_plane:
        raise ParameterError(
            f"near_plane is {near_plane}, far_plane {far_plane}; use 0 < near_plane < far_plane."
        )
