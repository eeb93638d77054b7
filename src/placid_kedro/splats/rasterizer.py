"""One rasterizer for all devices, with the arguments and results of gsplat 1.5.3's `rasterization`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from placid_kedro.splats.splatting import RenderMode, Splatting


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
    given = Splatting(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height, near_plane, far_plane,
        radius_clip, eps2d, sh_degree, backgrounds, render_mode, absgrad,
    )  # fmt: skip
    given.check()
    if means.device.type == "cuda":
        import gsplat

        return gsplat.rasterization(**vars(given), packed=False)
    from placid_kedro.splats.cpu.rasterizer import rasterize

    return rasterize(given)
