"""What is looked at: Gaussians or a mesh, from any camera, on the device of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.rendering import Mesh, render_mesh
from placid_kedro.splats import Gaussians
from placid_kedro.splats.rasterizer import rasterization

Background = Literal["black", "white"]
_LEVELS: dict[Background, float] = {"black": 0.0, "white": 1.0}


def background_level(background: Background) -> float:
    """The value of every channel of a background."""
    return _LEVELS[background]


class Subject(Protocol):
    """An object that can be photographed."""

    @property
    def points(self) -> Tensor:
        """[N, 3] its vertices or centres."""

    def photograph(self, cameras: Cameras, background: Background) -> tuple[Tensor, Tensor]:
        """Images [C, 3, H, W] in [0, 1] and coverage [C, H, W]."""


@dataclass(frozen=True, eq=False)
class SplatSubject:
    """Gaussians, drawn on the device that they are on."""

    gaussians: Gaussians

    @property
    def points(self) -> Tensor:
        """[N, 3] centres."""
        return self.gaussians.means

    @torch.no_grad()
    def photograph(self, cameras: Cameras, background: Background) -> tuple[Tensor, Tensor]:
        """Images [C, 3, H, W] in [0, 1] and coverage [C, H, W]."""
        given = self.gaussians
        cameras = cameras.to(given.means.device)
        level = given.means.new_full((len(cameras), 3), background_level(background))
        images, alphas, _ = rasterization(
            given.means, given.quats, given.scales, given.opacities, given.sh, cameras.world_to_camera, cameras.K,
            cameras.width, cameras.height, sh_degree=given.sh_degree, backgrounds=level,
        )  # fmt: skip
        return images.permute(0, 3, 1, 2).clamp(0, 1), alphas[..., 0]


@dataclass(frozen=True, eq=False)
class MeshSubject:
    """A mesh under even grey light, each face in one shade of its colour; drawn on the CPU."""

    mesh: Mesh

    @property
    def points(self) -> Tensor:
        """[N, 3] vertices."""
        return torch.from_numpy(self.mesh.vertices).float()

    def photograph(self, cameras: Cameras, background: Background) -> tuple[Tensor, Tensor]:
        """Images [C, 3, H, W] in [0, 1] and coverage [C, H, W]."""
        rgba = (
            torch.from_numpy(render_mesh(self.mesh, cameras, supersample=1).rgba).permute(0, 3, 1, 2).float()
            / 255
        )
        alphas = rgba[:, 3]
        images = rgba[:, :3] * rgba[:, 3:] + background_level(background) * (1 - rgba[:, 3:])
        return images, alphas
