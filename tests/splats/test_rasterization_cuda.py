"""The CPU rasterizer against gsplat's CUDA kernels, where there is a GPU."""

from __future__ import annotations

import pytest
import torch

from placid_kedro.splats import rasterization

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("render_mode", ["RGB", "RGB+D", "RGB+ED"])
def test_the_cpu_gives_what_cuda_gives(scene, render_mode):
    some = scene(5000, 128, sh_degree=3)
    backgrounds = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    results = []
    for device in ("cpu", "cuda"):
        leaves = [leaf.detach().to(device).requires_grad_() for leaf in some.leaves.values()]
        cameras = some.cameras.to(device)
        image, alphas, meta = rasterization(
            *leaves,
            cameras.world_to_camera,
            cameras.K,
            128,
            128,
            sh_degree=3,
            backgrounds=backgrounds.to(device),
            render_mode=render_mode,
            absgrad=True,
        )
        meta["means2d"].retain_grad()
        generator = torch.Generator().manual_seed(1)
        weights = torch.randn(image.shape, generator=generator).to(device)
        ((image * weights).sum() + alphas.square().sum()).backward()
        gradients = [leaf.grad for leaf in leaves] + [meta["means2d"].grad, meta["means2d"].absgrad]
        results.append([value.detach().cpu() for value in (image, alphas, *gradients)])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).norm() < 1e-3 * theirs.norm()
