"""What the splat tests share: random scenes, the dense oracle, gsplat's own PyTorch rasterizer."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from placid_kedro.cameras import Cameras, orbit

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Scene:
    """Random Gaussians in the unit cube with leaf tensors, and cameras round them."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    cameras: Cameras

    @property
    def leaves(self) -> dict[str, Tensor]:
        names = ("means", "quats", "scales", "opacities", "colors")
        return {name: getattr(self, name) for name in names}

    @property
    def arguments(self) -> tuple[object, ...]:
        cameras = self.cameras
        return (
            *self.leaves.values(), cameras.world_to_camera, cameras.K, cameras.width, cameras.height,
        )  # fmt: skip


def random_scene(
    count: int,
    size: int = 64,
    views: int = 2,
    *,
    scale: float = 0.03,
    sh_degree: int | None = None,
    seed: int = 0,
) -> Scene:
    generator = torch.Generator().manual_seed(seed)
    bands = () if sh_degree is None else ((sh_degree + 1) ** 2,)
    leaves = {
        "means": torch.rand(count, 3, generator=generator) * 0.8 - 0.4,
        "quats": torch.randn(count, 4, generator=generator),
        "scales": scale * torch.exp(0.5 * torch.randn(count, 3, generator=generator)),
        "opacities": 0.02 + 0.97 * torch.rand(count, generator=generator),
        "colors": torch.rand(count, *bands, 3, generator=generator) - (0.0 if sh_degree is None else 0.5),
    }
    azimuths = [20.0 + 100.0 * view for view in range(views)]
    cameras = orbit(azimuths, 25.0, 1.5, 1.1 * size, size)
    return Scene(**{name: leaf.requires_grad_() for name, leaf in leaves.items()}, cameras=cameras)


@pytest.fixture(scope="session")
def scene() -> Callable[..., Scene]:
    """`random_scene`."""
    return random_scene


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The dense float64 rasterizer beside this file."""
    return _module(HERE / "dense_oracle.py")


@pytest.fixture(scope="session")
def gsplat_rasterization() -> Callable[..., tuple[Tensor, Tensor, dict[str, object]]]:
    """gsplat's PyTorch rasterizer on the CPU."""
    return _module(HERE.parents[1] / "benchmarks" / "gsplat_reference.py").gsplat_rasterization


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"splats_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
