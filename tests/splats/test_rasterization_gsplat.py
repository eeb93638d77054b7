"""The CPU rasterizer against gsplat's own PyTorch rasterizer: images and all gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from placid_kedro.splats import rasterization


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).detach().norm() / expected.detach().norm())


def images_and_gradients(rasterize, scene, backgrounds, **options) -> dict[str, Tensor]:
    image, alphas, meta = rasterize(*scene.arguments, backgrounds=backgrounds, **options)
    meta["means2d"].retain_grad()
    generator = torch.Generator().manual_seed(11)
    weights = torch.randn(image.shape, generator=generator), torch.randn(alphas.shape, generator=generator)
    differentiated = scene.leaves if backgrounds is None else {**scene.leaves, "backgrounds": backgrounds}
    for leaf in differentiated.values():
        leaf.grad = None
    ((image * weights[0]).sum() + (alphas * weights[1]).sum()).backward()
    gradients = {
        f"gradient of {name}": leaf.grad for name, leaf in differentiated.items() if leaf.grad is not None
    }
    return {"image": image, "alphas": alphas, "gradient of means2d": meta["means2d"].grad, **gradients}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name in expected:
        # One Gaussian that flips at alpha = 1/255 in one pixel is worth about 1e-5 here.
        assert relative_error(actual[name], expected[name]) < 1e-4, name


@pytest.mark.parametrize("render_mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_render_modes(scene, gsplat_rasterization, render_mode):
    some = scene(1200)
    backgrounds = None if render_mode == "D" else torch.rand(2, 3).requires_grad_()
    results = [
        images_and_gradients(rasterize, some, backgrounds, render_mode=render_mode)
        for rasterize in (rasterization, gsplat_rasterization)
    ]
    assert_same(*results)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics(scene, gsplat_rasterization, degree):
    some = scene(800, sh_degree=3)
    results = [
        images_and_gradients(rasterize, some, torch.ones(2, 3), sh_degree=degree, render_mode="RGB+ED")
        for rasterize in (rasterization, gsplat_rasterization)
    ]
    assert_same(*results)


def test_large_gaussians_that_saturate_and_leave_the_image(scene, gsplat_rasterization):
    some = scene(600, 48, 3, scale=0.15)
    results = [images_and_gradients(r, some, None, eps2d=0.1) for r in (rasterization, gsplat_rasterization)]
    assert float(results[0]["alphas"].detach().max()) > 0.999
    assert_same(*results)


def test_cameras_inside_the_scene(scene, gsplat_rasterization):
    some = scene(1000, scale=0.02)
    some.cameras.world_to_camera[:, 2, 3] = 0.1  # half of the Gaussians are behind the cameras
    options = {"near_plane": 0.05, "far_plane": 0.4}
    results = [images_and_gradients(r, some, None, **options) for r in (rasterization, gsplat_rasterization)]
    assert_same(*results)


def test_meta_agrees(scene, gsplat_rasterization):
    some = scene(500)
    ours, theirs = (rasterize(*some.arguments)[2] for rasterize in (rasterization, gsplat_rasterization))
    seen = (ours["radii"] > 0).all(dim=-1)
    assert 0 < int(seen.sum()) <= int((theirs["radii"] > 0).all(dim=-1).sum())
    assert (ours["radii"] <= theirs["radii"]).all()  # gsplat's PyTorch version does not look at the opacity
    for name in ("means2d", "depths", "conics"):
        torch.testing.assert_close(ours[name][seen], theirs[name][seen], rtol=1e-4, atol=1e-4)
    assert (ours["width"], ours["height"], ours["n_cameras"]) == (64, 64, 2)
