"""How far float32 can bring a rasterizer's colour gradients: the CPU's kernel, and gsplat's way, against float64.

    python -m benchmarks.gradient_rounding     # from the project's folder; a minute, no GPU

The scene of `paper_scale` (10,000 Gaussians at 128 px). gsplat's backward pass starts from T = 1 - alpha of the float32
alpha that it returned. Where the object is opaque T is 1e-4 and that difference keeps four digits, which every
Gaussian at the pixel then shares. The kernel of this project keeps T itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.scenes import hollow_ball
from placid_kedro.cameras import Cameras, orbit
from placid_kedro.splats import rasterization
from tests.splats.dense_oracle import project

SIZE = 128
EXTENT = 3.4  # standard deviations, beyond which alpha is below 1/255


def kernel_gradient(leaves: list[Tensor], cameras: Cameras, weights: Tensor) -> Tensor:
    """[N, 3] of sum(weights * image) by the colours, from the CPU's kernel."""
    images, _, _ = rasterization(*leaves, cameras.world_to_camera, cameras.K, SIZE, SIZE)
    (gradient,) = torch.autograd.grad((images[0] * weights).sum(), leaves[4])
    return gradient.double()


class Pixels:
    """The Gaussians of a scene seen by one camera in float64, nearest first."""

    def __init__(self, leaves: list[Tensor], cameras: Cameras) -> None:
        means, quats, scales, self.opacities, _ = (leaf.detach().double() for leaf in leaves)
        view, K = cameras.world_to_camera[0].double(), cameras.K[0].double()
        self.means2d, covariances, depths = project(means, quats, scales, view, K)
        self.inverse = torch.linalg.inv(covariances)
        self.radii = (EXTENT * covariances.diagonal(dim1=1, dim2=2).amax(1).sqrt()).ceil().int() + 1
        self.order = torch.argsort(depths).tolist()

    def window(self, n: int) -> tuple[slice, slice]:
        """Rows and columns that a Gaussian can reach."""
        (x, y), radius = self.means2d[n].int().tolist(), int(self.radii[n])
        return slice(max(y - radius, 0), max(y + radius + 1, 0)), slice(
            max(x - radius, 0), max(x + radius + 1, 0)
        )

    def alpha(self, n: int, window: tuple[slice, slice]) -> Tensor:
        """[h, w] of one Gaussian."""
        rows, columns = (torch.arange(SIZE).double()[part] + 0.5 for part in window)
        offset = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1) - self.means2d[n]
        sigma = 0.5 * torch.einsum("hwi,ij,hwj->hw", offset, self.inverse[n], offset)
        return (self.opacities[n] * torch.exp(-sigma)).clamp(max=0.999)

    def gradient(self, weights: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3] by the colours, with each pixel's transmittances T multiplied by `factor` [H, W]; and the last T."""
        transmittance, open_ = torch.ones(SIZE, SIZE).double(), torch.ones(SIZE, SIZE, dtype=torch.bool)
        found = torch.zeros(len(self.order), 3).double()
        for n in self.order:
            at = self.window(n)
            alpha = self.alpha(n, at)
            remaining, meets = transmittance[at] * (1 - alpha), open_[at] & (alpha >= 1 / 255)
            open_[at] &= ~(meets & (remaining <= 1e-4))
            drawn = meets & open_[at]
            share = torch.where(drawn, transmittance[at] * alpha, 0.0) * factor[at]
            found[n] = (share[..., None] * weights[at]).sum((0, 1))
            transmittance[at] = torch.where(drawn, remaining, transmittance[at])
        return found, transmittance


def relative(found: Tensor, truth: Tensor) -> float:
    """Relative L2."""
    return float((found - truth).norm() / truth.norm())


def main() -> None:
    leaves = hollow_ball(10_000)
    cameras = orbit([30.0], 20.0, 1.5, 140.0, SIZE)
    weights = torch.randn(1, SIZE, SIZE, 4, generator=torch.Generator().manual_seed(1))[0, ..., :3]
    pixels = Pixels(leaves, cameras)
    truth, last = pixels.gradient(weights.double(), torch.ones(SIZE, SIZE).double())
    from_alpha = (1 - (1 - last).float()).double()
    rounded, _ = pixels.gradient(weights.double(), from_alpha / last)
    print("colour gradients of 10,000 Gaussians at 128 px against float64, relative L2:")
    print(f"the CPU's kernel {relative(kernel_gradient(leaves, cameras, weights), truth):.1e}")
    print(f"exact but for T from a float32 alpha, as gsplat's {relative(rounded, truth):.1e}")


if __name__ == "__main__":
    main()
