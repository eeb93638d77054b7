"""EWA projection of 3D Gaussians to the image plane and its derivative (Zwicker et al. 2001; gsplat, App. B).

With M = R(quat) diag(scale), world-to-camera rotation W and the perspective's Jacobian J, the 2D covariance
is T T^T + eps2d I, T = J W M (2 x 3). A Gaussian is drawn where opacity * exp(-sigma) >= 1/255.
"""

from __future__ import annotations

from math import ceil, isfinite, log, sqrt

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Real = float | np.float32

_FAST = {"reassoc", "contract", "arcp", "nsz"}
_ALPHA_MIN = np.float32(1.0 / 255.0)
_LARGEST_EXTENT = np.float32(3.33)
_GUARD_BAND = np.float32(0.3)
_BLOCK = 256
"""Gaussians that share one set of scratch arrays."""


@numba.njit(fastmath=_FAST, error_model="numpy")
def _rotation(w: Real, x: Real, y: Real, z: Real) -> tuple[Real, ...]:
    """Rows of the rotation matrix of a unit quaternion."""
    return (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )


@numba.njit(fastmath=_FAST, error_model="numpy")
def _fill_axes(quat: Floats, scale: Floats, rotation: Floats, axes: Floats) -> Real:
    """Write R(quat) and M = R diag(scale), both [3, 3]; return 1 / |quat|, 0 for a quaternion of length
    zero."""
    norm2 = quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3]
    if not norm2 > 0.0:
        return np.float32(0.0)
    inverse_norm = np.float32(1.0) / np.float32(sqrt(norm2))
    entries = _rotation(
        quat[0] * inverse_norm, quat[1] * inverse_norm, quat[2] * inverse_norm, quat[3] * inverse_norm
    )
    for i in range(3):
        for k in range(3):
            rotation[i, k] = entries[3 * i + k]
            axes[i, k] = rotation[i, k] * scale[k]
    return inverse_norm


@numba.njit(fastmath=_FAST, error_model="numpy")
def _to_camera(view: Floats, mean: Floats, axes: Floats, center: Floats, axes_camera: Floats) -> None:
    """Write the centre [3] and W M [3, 3] in camera coordinates."""
    for i in range(3):
        center[i] = view[i, 0] * mean[0] + view[i, 1] * mean[1] + view[i, 2] * mean[2] + view[i, 3]
        for k in range(3):
            axes_camera[i, k] = view[i, 0] * axes[0, k] + view[i, 1] * axes[1, k] + view[i, 2] * axes[2, k]


@numba.njit(fastmath=_FAST, error_model="numpy")
def _clip_slope(slope: Real, focal: Real, principal: Real, size: Real) -> Real:
    """The slope x/z at which the Jacobian is taken: clipped to a guard band round the image."""
    guard = _GUARD_BAND * np.float32(0.5) * size / focal
    return min(max(slope, -(principal / focal + guard)), (size - principal) / focal + guard)


@numba.njit(fastmath=_FAST, error_model="numpy")
def _fill_image_axes(
    axes_camera: Floats,
    fx: Real,
    fy: Real,
    slope_x: Real,
    slope_y: Real,
    inverse_z: Real,
    image_axes: Floats,
) -> None:
    """Write T = J W M [2, 3]."""
    for k in range(3):
        image_axes[0, k] = fx * inverse_z * (axes_camera[0, k] - slope_x * axes_camera[2, k])
        image_axes[1, k] = fy * inverse_z * (axes_camera[1, k] - slope_y * axes_camera[2, k])


@numba.njit(fastmath=_FAST, error_model="numpy")
def _covariance(image_axes: Floats, eps2d: Real) -> tuple[Real, Real, Real]:
    """(xx, xy, yy) of T T^T + eps2d I."""
    xx = eps2d
    xy = np.float32(0.0)
    yy = eps2d
    for k in range(3):
        xx += image_axes[0, k] * image_axes[0, k]
        xy += image_axes[0, k] * image_axes[1, k]
        yy += image_axes[1, k] * image_axes[1, k]
    return xx, xy, yy


@numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
def project_forward(
    means: Floats,
    quats: Floats,
    scales: Floats,
    opacities: Floats,
    viewmats: Floats,
    Ks: Floats,
    width: Real,
    height: Real,
    near: Real,
    far: Real,
    eps2d: Real,
    radius_clip: Real,
    radii: npt.NDArray[np.int32],
    means2d: Floats,
    depths: Floats,
    conics: Floats,
) -> None:
    """Fill radii [C, N, 2] int32, means2d [C, N, 2], depths [C, N] and conics [C, N, 3] (float32, all zero
    before).

    A Gaussian that is not seen (behind the near plane, off the image, too faint, not finite) keeps its zeros.
    """
    gaussians = means.shape[0]
    for block in numba.prange((gaussians + _BLOCK - 1) // _BLOCK):
        rotation = np.empty((3, 3), np.float32)
        axes = np.empty((3, 3), np.float32)
        center = np.empty(3, np.float32)
        axes_camera = np.empty((3, 3), np.float32)
        image_axes = np.empty((2, 3), np.float32)
        for n in range(block * _BLOCK, min((block + 1) * _BLOCK, gaussians)):
            inverse_norm = _fill_axes(quats[n], scales[n], rotation, axes)
            opacity = opacities[n]
            if not (
                inverse_norm > 0.0 and isfinite(inverse_norm) and opacity >= _ALPHA_MIN and isfinite(opacity)
            ):
                continue
            extent = min(_LARGEST_EXTENT, np.float32(sqrt(np.float32(2.0) * log(opacity / _ALPHA_MIN))))
            for c in range(viewmats.shape[0]):
                _to_camera(viewmats[c], means[n], axes, center, axes_camera)
                z = center[2]
                if not (z >= near and z <= far):
                    continue
                fx, fy, cx, cy = Ks[c, 0, 0], Ks[c, 1, 1], Ks[c, 0, 2], Ks[c, 1, 2]
                inverse_z = np.float32(1.0) / z
                slope_x = _clip_slope(center[0] * inverse_z, fx, cx, width)
                slope_y = _clip_slope(center[1] * inverse_z, fy, cy, height)
                _fill_image_axes(axes_camera, fx, fy, slope_x, slope_y, inverse_z, image_axes)
                xx, xy, yy = _covariance(image_axes, eps2d)
                determinant = xx * yy - xy * xy
                u = fx * center[0] * inverse_z + cx
                v = fy * center[1] * inverse_z + cy
                if not (determinant > 0.0 and isfinite(determinant) and isfinite(u) and isfinite(v)):
                    continue
                radius_x = ceil(extent * sqrt(xx))
                radius_y = ceil(extent * sqrt(yy))
                if radius_x <= radius_clip and radius_y <= radius_clip:
                    continue
                if u + radius_x <= 0 or u - radius_x >= width or v + radius_y <= 0 or v - radius_y >= height:
                    continue
                radii[c, n, 0] = radius_x
                radii[c, n, 1] = radius_y
                means2d[c, n, 0] = u
                means2d[c, n, 1] = v
                depths[c, n] = z
                conics[c, n, 0] = yy / determinant
                conics[c, n, 1] = -xy / determinant
                conics[c, n, 2] = xx / determinant


@numba.njit(fastmath=_FAST, error_model="numpy")
def _conic_backward(conic: Floats, v_conic: Floats) -> tuple[Real, Real, Real]:
    """(v_xx, v_xy, v_yy) of the covariance. conic Y = cov^-1, so v_cov = -Y v_Y Y with v_Y = [[a, b/2], [b/2,
    c]]."""
    p, q, r = conic[0], conic[1], conic[2]
    a, b, c = v_conic[0], np.float32(0.5) * v_conic[1], v_conic[2]
    ap, aq = a * p + b * q, a * q + b * r
    bp, bq = b * p + c * q, b * q + c * r
    return -(p * ap + q * bp), -(p * aq + q * bq), -(q * aq + r * bq)


@numba.njit(fastmath=_FAST, error_model="numpy")
def _image_axes_backward(
    v_cov: tuple[Real, Real, Real],
    slope_x: Real,
    slope_y: Real,
    fz_x: Real,
    fz_y: Real,
    axes_camera: Floats,
    image_axes: Floats,
    v_axes_camera: Floats,
) -> tuple[Real, Real, Real, Real]:
    """Write v of W M [3, 3]; return the derivatives by J's entries fx/z, -fx x/z^2, fy/z, -fy y/z^2.

    cov = T T^T gives v_T = 2 v_cov T; T = J (W M) with J = [[fx/z, 0, -fx x/z^2], [0, fy/z, -fy y/z^2]].
    """
    v_xx, v_xy, v_yy = v_cov
    v_j00 = v_j02 = v_j11 = v_j12 = np.float32(0.0)
    for k in range(3):
        v_0 = np.float32(2.0) * (v_xx * image_axes[0, k] + v_xy * image_axes[1, k])
        v_1 = np.float32(2.0) * (v_xy * image_axes[0, k] + v_yy * image_axes[1, k])
        v_axes_camera[0, k] = fz_x * v_0
        v_axes_camera[1, k] = fz_y * v_1
        v_axes_camera[2, k] = -slope_x * v_axes_camera[0, k] - slope_y * v_axes_camera[1, k]
        v_j00 += v_0 * axes_camera[0, k]
        v_j02 += v_0 * axes_camera[2, k]
        v_j11 += v_1 * axes_camera[1, k]
        v_j12 += v_1 * axes_camera[2, k]
    return v_j00, v_j02, v_j11, v_j12


@numba.njit(fastmath=_FAST, error_model="numpy")
def _quat_backward(quat: Floats, inverse_norm: Real, g: Floats, v_quat: Floats) -> None:
    """Write the derivative by a quaternion [4] from that by its rotation matrix, g [3, 3]."""
    two = np.float32(2.0)
    w, x, y, z = (
        quat[0] * inverse_norm,
        quat[1] * inverse_norm,
        quat[2] * inverse_norm,
        quat[3] * inverse_norm,
    )
    skew_x, skew_y, skew_z = g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]
    xy, xz, yz = g[0, 1] + g[1, 0], g[0, 2] + g[2, 0], g[1, 2] + g[2, 1]
    v_w = two * (x * skew_x + y * skew_y + z * skew_z)
    v_x = two * (w * skew_x + y * xy + z * xz - two * x * (g[1, 1] + g[2, 2]))
    v_y = two * (w * skew_y + x * xy + z * yz - two * y * (g[0, 0] + g[2, 2]))
    v_z = two * (w * skew_z + x * xz + y * yz - two * z * (g[0, 0] + g[1, 1]))
    along = w * v_w + x * v_x + y * v_y + z * v_z
    v_quat[0] = (v_w - w * along) * inverse_norm
    v_quat[1] = (v_x - x * along) * inverse_norm
    v_quat[2] = (v_y - y * along) * inverse_norm
    v_quat[3] = (v_z - z * along) * inverse_norm


@numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
def project_backward(
    means: Floats,
    quats: Floats,
    scales: Floats,
    viewmats: Floats,
    Ks: Floats,
    width: Real,
    height: Real,
    radii: npt.NDArray[np.int32],
    conics: Floats,
    v_means2d: Floats,
    v_depths: Floats,
    v_conics: Floats,
    v_means: Floats,
    v_quats: Floats,
    v_scales: Floats,
) -> None:
    """Fill v_means [N, 3], v_quats [N, 4] and v_scales [N, 3] (zero before) from the derivatives of the
    outputs.

    `v_x` is the derivative of the loss by x; the rest has the shapes of `project_forward`.
    """
    one = np.float32(1.0)
    gaussians = means.shape[0]
    for block in numba.prange((gaussians + _BLOCK - 1) // _BLOCK):
        rotation = np.empty((3, 3), np.float32)
        axes = np.empty((3, 3), np.float32)
        center = np.empty(3, np.float32)
        axes_camera = np.empty((3, 3), np.float32)
        image_axes = np.empty((2, 3), np.float32)
        v_center = np.empty(3, np.float32)
        v_axes_camera = np.empty((3, 3), np.float32)
        v_axes = np.empty((3, 3), np.float32)
        for n in range(block * _BLOCK, min((block + 1) * _BLOCK, gaussians)):
            inverse_norm = _fill_axes(quats[n], scales[n], rotation, axes)
            v_axes[:] = np.float32(0.0)
            seen = False
            for c in range(viewmats.shape[0]):
                if radii[c, n, 0] <= 0:
                    continue
                seen = True
                view = viewmats[c]
                _to_camera(view, means[n], axes, center, axes_camera)
                fx, fy, cx, cy = Ks[c, 0, 0], Ks[c, 1, 1], Ks[c, 0, 2], Ks[c, 1, 2]
                inverse_z = one / center[2]
                slope_x = _clip_slope(center[0] * inverse_z, fx, cx, width)
                slope_y = _clip_slope(center[1] * inverse_z, fy, cy, height)
                inside_x = np.float32(slope_x == center[0] * inverse_z)
                inside_y = np.float32(slope_y == center[1] * inverse_z)
                fz_x, fz_y = fx * inverse_z, fy * inverse_z
                _fill_image_axes(axes_camera, fx, fy, slope_x, slope_y, inverse_z, image_axes)
                v_cov = _conic_backward(conics[c, n], v_conics[c, n])
                v_j00, v_j02, v_j11, v_j12 = _image_axes_backward(
                    v_cov, slope_x, slope_y, fz_x, fz_y, axes_camera, image_axes, v_axes_camera
                )
                v_u, v_v = v_means2d[c, n, 0], v_means2d[c, n, 1]
                v_center[0] = fz_x * (v_u - inside_x * inverse_z * v_j02)
                v_center[1] = fz_y * (v_v - inside_y * inverse_z * v_j12)
                v_center[2] = v_depths[c, n] - inverse_z * (
                    fz_x * (center[0] * v_u + v_j00 - slope_x * v_j02 * (one + inside_x))
                    + fz_y * (center[1] * v_v + v_j11 - slope_y * v_j12 * (one + inside_y))
                )
                for i in range(3):
                    for j in range(3):
                        v_means[n, i] += view[j, i] * v_center[j]
                        for k in range(3):
                            v_axes[i, k] += view[j, i] * v_axes_camera[j, k]
            if not seen:
                continue
            for k in range(3):  # M = R diag(scale)
                for i in range(3):
                    v_scales[n, k] += v_axes[i, k] * rotation[i, k]
                    v_axes[i, k] *= scales[n, k]  # from here on the derivative by R
            _quat_backward(quats[n], inverse_norm, v_axes, v_quats[n])
