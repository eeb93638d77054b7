"""3D Gaussians as the optimiser sees them: unconstrained parameters and their activations.

The parametrisation is that of Kerbl et al., "3D Gaussian Splatting" (2023), and of its ply files: logarithms
of the scales, logits of the opacities, spherical-harmonic coefficients with the constant band kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.errors import ParameterError, ShapeError

SH_C0 = 0.28209479177387814
"""Y_00, the constant spherical harmonic: colour = 0.5 + SH_C0 * sh0."""

_NEIGHBOURS = 3
_SMALLEST_SCALE = 1e-4


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians in world coordinates, float32, all on one device.

    Attributes:
        means: [N, 3] centres, world units.
        quats: [N, 4] rotations as quaternions wxyz, not necessarily of length one.
        log_scales: [N, 3] natural logarithms of the standard deviations along the local axes.
        logit_opacities: [N] logits of the opacities.
        sh0: [N, 1, 3] constant spherical-harmonic coefficient of each colour channel.
        shN: [N, (degree + 1)^2 - 1, 3] the other coefficients; [N, 0, 3] for degree 0.

    Raises:
        ShapeError: a field has another shape than these.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    logit_opacities: Tensor
    sh0: Tensor
    shN: Tensor

    def __post_init__(self) -> None:
        n = self.means.shape[0] if self.means.ndim else -1
        bands = self.shN.shape[1] if self.shN.ndim == 3 else -1
        expected = {
            "means": (n, 3),
            "quats": (n, 4),
            "log_scales": (n, 3),
            "logit_opacities": (n,),
            "sh0": (n, 1, 3),
            "shN": (n, bands, 3),
        }
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ShapeError(
                    f"Gaussians.{name} has shape {tuple(getattr(self, name).shape)}, not {shape}."
                )
        if bands not in (0, 3, 8, 15):
            raise ShapeError(
                f"Gaussians.shN holds {bands} coefficients, expected 0, 3, 8 or 15 (degree 0 to 3)."
            )

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def scales(self) -> Tensor:
        """[N, 3] standard deviations, world units."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:
        """[N] opacities in (0, 1)."""
        return self.logit_opacities.sigmoid()

    @property
    def sh(self) -> Tensor:
        """[N, (degree + 1)^2, 3] all spherical-harmonic coefficients."""
        return torch.cat([self.sh0, self.shN], dim=1)

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return round((self.shN.shape[1] + 1) ** 0.5) - 1

    @property
    def base_colors(self) -> Tensor:
        """[N, 3] colours of the constant band, not clamped."""
        return 0.5 + SH_C0 * self.sh0[:, 0]

    def to(self, device: torch.device | str) -> Gaussians:
        """The same Gaussians on another device."""
        return Gaussians(*(getattr(self, field.name).to(device) for field in fields(self)))

    def detach(self) -> Gaussians:
        """The same values outside the autograd graph."""
        return Gaussians(*(getattr(self, field.name).detach() for field in fields(self)))

    def subset(self, chosen: Tensor) -> Gaussians:
        """Those that `chosen` [N] bool marks, in their order."""
        return Gaussians(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def scaled(self, factor: float) -> Gaussians:
        """The same Gaussians in a world that is larger by a factor, about the origin.

        Raises:
            ParameterError: the factor is not positive and finite.
        """
        if not 0.0 < factor < float("inf"):
            raise ParameterError(f"Gaussians are scaled by a positive, finite factor, got {factor}.")
        return replace(self, means=self.means * factor, log_scales=self.log_scales + float(np.log(factor)))

    def followed_by(self, others: Gaussians) -> Gaussians:
        """These Gaussians and, behind them, others of the same degree.

        Raises:
            ShapeError: the degrees differ.
        """
        if self.sh_degree != others.sh_degree:
            raise ShapeError(
                f"Gaussians of degree {self.sh_degree} cannot stand before others of degree {others.sh_degree}."
            )
        return Gaussians(
            *(torch.cat([getattr(self, field.name), getattr(others, field.name)]) for field in fields(self))
        )

    def with_sh_degree(self, degree: int) -> Gaussians:
        """The same Gaussians with higher bands cut off or filled with zeros.

        Raises:
            ParameterError: the degree is not 0, 1, 2 or 3.
        """
        if degree not in (0, 1, 2, 3):
            raise ParameterError(f"sh_degree is {degree}; use 0, 1, 2 or 3.")
        bands = (degree + 1) ** 2 - 1
        kept = self.shN[:, :bands]
        return replace(self, shN=F.pad(kept, (0, 0, 0, bands - kept.shape[1])))

    def to_parameters(self) -> dict[str, nn.Parameter]:
        """Trainable copies under gsplat's names: means, quats, scales (log), opacities (logit), sh0 and,
        above degree 0, shN. The dict is what optimisers and densification change in place."""
        tensors = {
            "means": self.means,
            "quats": self.quats,
            "scales": self.log_scales,
            "opacities": self.logit_opacities,
            "sh0": self.sh0,
        }
        if self.shN.shape[1]:
            tensors["shN"] = self.shN
        return {name: nn.Parameter(tensor.detach().clone()) for name, tensor in tensors.items()}

    @classmethod
    def from_parameters(cls, parameters: dict[str, nn.Parameter]) -> Gaussians:
        """The Gaussians that `to_parameters` gave out, attached to the parameters' graph."""
        sh0 = parameters["sh0"]
        return cls(
            means=parameters["means"],
            quats=parameters["quats"],
            log_scales=parameters["scales"],
            logit_opacities=parameters["opacities"],
            sh0=sh0,
            shN=parameters["shN"] if "shN" in parameters else sh0.new_zeros(len(sh0), 0, 3),
        )

    @classmethod
    def from_points(
        cls,
        points: Tensor,
        colors: Tensor,
        *,
        normals: Tensor | None = None,
        opacity: float = 0.1,
        thickness: float = 0.3,
        sh_degree: int = 0,
    ) -> Gaussians:
        """One Gaussian a point, as wide as the mean distance to its three nearest neighbours.

        Args:
            points: [N, 3] positions, world units, N >= 2.
            colors: [N, 3] in [0, 1].
            normals: [N, 3] surface normals; with them each Gaussian is a disc across its normal.
            opacity: opacity of all, in (0, 1).
            thickness: a disc's standard deviation along its normal, relative to the others; needs normals.
            sh_degree: degree of the spherical harmonics, bands above the constant one zero.

        Raises:
            ShapeError: the tensors do not fit together.
            ParameterError: fewer than two points, NaN or infinite values, opacity or thickness out of range.
        """
        if points.ndim != 2 or points.shape[1] != 3 or colors.shape != points.shape:
            raise ShapeError(
                f"points and colors must both be [N, 3], got {tuple(points.shape)} and {tuple(colors.shape)}."
            )
        if normals is not None and normals.shape != points.shape:
            raise ShapeError(
                f"normals must be {tuple(points.shape)} like the points, got {tuple(normals.shape)}."
            )
        if len(points) < 2:
            raise ParameterError(f"{len(points)} points are too few for Gaussians; give at least 2.")
        if not (torch.isfinite(points).all() and torch.isfinite(colors).all()):
            raise ParameterError("points and colors hold NaN or infinite values; remove those points.")
        if not 0.0 < opacity < 1.0 or thickness <= 0.0:
            raise ParameterError(
                f"opacity is {opacity}, thickness {thickness}; use 0 < opacity < 1 and thickness > 0."
            )
        points, colors = points.float(), colors.float()
        log_scales = neighbour_distance(points).log()[:, None].repeat(1, 3)
        quats = points.new_tensor([1.0, 0.0, 0.0, 0.0]).repeat(len(points), 1)
        if normals is not None:
            quats = _rotation_from_z(normals.to(points))
            log_scales[:, 2] += float(np.log(thickness))
        return cls(
            means=points,
            quats=quats,
            log_scales=log_scales,
            logit_opacities=torch.full_like(points[:, 0], float(np.log(opacity / (1.0 - opacity)))),
            sh0=((colors - 0.5) / SH_C0)[:, None, :],
            shN=points.new_zeros(len(points), 0, 3),
        ).with_sh_degree(sh_degree)


def neighbour_distance(points: Tensor) -> Tensor:
    """[N] mean distance of each of the points [N, 3] to its three nearest others, at least 1e-4."""
    coordinates = points.detach().cpu().double().numpy()
    neighbours = min(_NEIGHBOURS, len(coordinates) - 1)
    distances, _ = cKDTree(coordinates).query(coordinates, k=neighbours + 1)
    mean = np.maximum(distances[:, 1:].mean(axis=1), _SMALLEST_SCALE)
    return torch.from_numpy(mean).to(points)


def _rotation_from_z(normals: Tensor) -> Tensor:
    """[N, 4] quaternions that turn +z into the normals [N, 3]; a normal of length zero gives the identity."""
    unit = F.normalize(normals, dim=-1)
    x, y, z = unit.unbind(-1)
    quats = torch.stack([1.0 + z, -y, x, torch.zeros_like(z)], dim=-1)
    half_turn = quats.new_tensor([0.0, 1.0, 0.0, 0.0])
    return F.normalize(torch.where((1.0 + z > 1e-6)[:, None], quats, half_turn), dim=-1)
