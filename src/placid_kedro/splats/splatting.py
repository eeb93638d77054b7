"""What is splatted, and how: the arguments of `placid_kedro.splats.rasterization` as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from placid_kedro.errors import ParameterError, ShapeError

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]


@dataclass(frozen=True, eq=False)
class Splatting:
    """N Gaussians and C cameras; every name and meaning as in `placid_kedro.splats.rasterization` and in gsplat."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    eps2d: float = 0.3
    sh_degree: int | None = None
    backgrounds: Tensor | None = None
    render_mode: RenderMode = "RGB"
    absgrad: bool = False

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ShapeError: tensors do not fit together, have another dtype than float32 or are on several devices.
            ParameterError: width, height, render_mode, sh_degree or the planes are out of range.
        """
        self._check_shapes()
        self._check_colors()
        tensors = [value for value in vars(self).values() if isinstance(value, Tensor)]
        if any(tensor.dtype != torch.float32 for tensor in tensors):
            raise ShapeError("rasterization works in float32; convert all of its tensors with .float().")
        if len({tensor.device for tensor in tensors}) != 1:
            raise ShapeError("rasterization's tensors are on several devices; move them to one.")
        if self.render_mode not in get_args(RenderMode):
            modes = ", ".join(get_args(RenderMode))
            raise ParameterError(f"render_mode is {self.render_mode!r}; use one of {modes}.")
        if self.width < 1 or self.height < 1:
            raise ParameterError(f"the image is {self.width} x {self.height} pixels; give at least 1 x 1.")
        if not 0.0 < self.near_plane < self.far_plane:
            raise ParameterError(
                f"near_plane is {self.near_plane}, far_plane {self.far_plane}; use 0 < near_plane < far_plane."
            )

    @property
    def counts(self) -> tuple[int, int]:
        """N and C; -1 where the tensors have no such dimension."""
        n = self.means.shape[0] if self.means.ndim == 2 else -1
        c = self.viewmats.shape[0] if self.viewmats.ndim == 3 else -1
        return n, c

    def _check_shapes(self) -> None:
        n, c = self.counts
        expected = {
            "means": (n, 3),
            "quats": (n, 4),
            "scales": (n, 3),
            "opacities": (n,),
            "viewmats": (c, 4, 4),
            "Ks": (c, 3, 3),
        }
        for name, shape in expected.items():
            got = tuple(getattr(self, name).shape)
            if got != shape:
                raise ShapeError(f"{name} has shape {got}, expected {shape} (N={n}, C={c}).")

    def _check_colors(self) -> None:
        (n, c), degree, got = self.counts, self.sh_degree, tuple(self.colors.shape)
        if got[: -1 if degree is None else -2] not in ((n,), (c, n)):
            kind = "[(C,) N, D]" if degree is None else "[(C,) N, K, 3]"
            raise ShapeError(f"colors has shape {got}, expected {kind} with N={n}, C={c}.")
        if degree is not None:
            if degree not in (0, 1, 2, 3):
                raise ParameterError(f"sh_degree is {degree}; use 0, 1, 2, 3 or None.")
            if got[-1] != 3 or got[-2] < (degree + 1) ** 2:
                raise ShapeError(
                    f"colors has shape {got}, expected at least {(degree + 1) ** 2} coefficients of 3 channels for "
                    f"sh_degree {degree}."
                )
        if self.backgrounds is not None and tuple(self.backgrounds.shape) != (c, got[-1]):
            raise ShapeError(
                f"backgrounds has shape {tuple(self.backgrounds.shape)}, expected {(c, got[-1])}."
            )
