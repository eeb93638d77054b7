"""Gaussians under other names of the axes: viewers count y downwards and z away from them, the world counts z upwards.

The two differ by a rotation that moves every axis onto an axis. Such a rotation R loses nothing: with the local axes
renamed in the same way, a Gaussian's rotation Q becomes R Q R^-1, whose quaternion is (w, R v), and its scales change
places. Only the bands of the spherical harmonics above the first are rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from placid_kedro.errors import ParameterError
from placid_kedro.splats.gaussians import Gaussians

_DIRECTIONS = 64


@dataclass(frozen=True)
class AxisRotation:
    """A rotation whose i-th new coordinate is `signs[i]` times the old coordinate `order[i]`.

    Raises:
        ParameterError: it is no rotation, or mirrors.
    """

    order: tuple[int, int, int]
    signs: tuple[int, int, int]

    def __post_init__(self) -> None:
        if sorted(self.order) != [0, 1, 2] or set(self.signs) - {1, -1}:
            raise ParameterError(f"{self} does not move axes onto axes; give each axis once, signs 1 or -1.")
        if round(float(torch.linalg.det(self.matrix))) != 1:
            raise ParameterError(f"{self} mirrors; change one sign.")

    @property
    def matrix(self) -> Tensor:
        """[3, 3] float64."""
        return (
            torch.diag(torch.tensor(self.signs, dtype=torch.float64))
            @ torch.eye(3).double()[list(self.order)]
        )

    @property
    def inverse(self) -> AxisRotation:
        """What undoes it."""
        places = [self.order.index(axis) for axis in range(3)]
        return AxisRotation(_triple(places), _triple([self.signs[place] for place in places]))

    def of_vectors(self, vectors: Tensor) -> Tensor:
        """[..., 3] vectors turned, exactly."""
        return vectors[..., list(self.order)] * vectors.new_tensor(self.signs)


WORLD_TO_VIEWER = AxisRotation(order=(1, 2, 0), signs=(1, -1, -1))
"""(x, y, z) -> (y, -z, -x): x to the object's left, y down, z away from who looks at the front."""


def turn(gaussians: Gaussians, rotation: AxisRotation) -> Gaussians:
    """The same Gaussians under the new names of the axes."""
    w, v = gaussians.quats[:, :1], gaussians.quats[:, 1:]
    return replace(
        gaussians,
        means=rotation.of_vectors(gaussians.means),
        quats=torch.cat([w, rotation.of_vectors(v)], dim=1),
        log_scales=gaussians.log_scales[:, list(rotation.order)],
        shN=_turn_bands(gaussians.shN, rotation, gaussians.sh_degree),
    )


def _turn_bands(coefficients: Tensor, rotation: AxisRotation, degree: int) -> Tensor:
    """[N, (degree + 1)^2 - 1, 3] coefficients of the function that is turned: f'(R d) = f(d)."""
    if degree == 0 or not bool(coefficients.any()):
        return coefficients
    directions = torch.randn(_DIRECTIONS, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, after = _basis(degree, directions), _basis(degree, rotation.of_vectors(directions))
    turned = []
    for band in range(1, degree + 1):
        columns = slice(band**2, (band + 1) ** 2)
        # Y(R d) c' = Y(d) c at every direction d; a band turns within itself.
        matrix = torch.linalg.lstsq(after[:, columns], before[:, columns]).solution
        kept = coefficients[:, band**2 - 1 : (band + 1) ** 2 - 1]
        turned.append(torch.einsum("ij,njc->nic", matrix, kept.double()))
    return torch.cat(turned, dim=1).to(coefficients)


def _basis(degree: int, directions: Tensor) -> Tensor:
    """[M, (degree + 1)^2] spherical harmonics, with the signs of the rasterizer, at directions [M, 3]."""
    from gsplat.cuda._torch_impl import _spherical_harmonics

    count = (degree + 1) ** 2
    one_each = torch.eye(count, dtype=torch.float64)[..., None].expand(count, count, 3)
    values = _spherical_harmonics(
        degree, directions[:, None].expand(-1, count, 3), one_each.expand(len(directions), -1, -1, -1)
    )
    return values[..., 0]


def _triple(values: Sequence[int]) -> tuple[int, int, int]:
    first, second, third = values
    return first, second, third
