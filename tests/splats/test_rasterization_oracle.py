"""The CPU rasterizer against a dense float64 one and its autograd."""

from __future__ import annotations

import pytest
import torch

from placid_kedro.cameras import Cameras
from placid_kedro.splats import rasterization


@pytest.mark.parametrize(
    ("size", "opaque"),
    [((48, 48), False), ((48, 48), True), ((45, 37), False), ((16, 70), False), ((5, 3), False)],
)
def test_images_and_gradients(scene, oracle, size, opaque):
    some = scene(50, 48, 2, scale=0.05, seed=3)
    if opaque:  # alpha is clamped to 0.999 near the centres
        some.opacities.data.fill_(0.9997)
    width, height = size
    cameras = some.cameras.resized(width, height)
    backgrounds = torch.rand(2, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    leaves = {**some.leaves, "backgrounds": backgrounds}
    exact = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}

    image, alphas, _ = rasterization(
        *some.leaves.values(), cameras.world_to_camera, cameras.K, width, height,
        backgrounds=backgrounds, render_mode="RGB+ED",
    )  # fmt: skip
    *exact_leaves, exact_backgrounds = exact.values()
    exact_image, exact_alphas = oracle.rasterize(
        *exact_leaves, cameras.world_to_camera.double(), cameras.K.double(), width, height, exact_backgrounds
    )
    torch.testing.assert_close(alphas.double(), exact_alphas, rtol=0, atol=1e-5)
    torch.testing.assert_close(image.double(), exact_image, rtol=0, atol=5e-5)

    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(image.shape, generator=generator), torch.randn(alphas.shape, generator=generator)
    # The expected depth of a pixel that is nearly empty is ill conditioned: weight it by its alpha.
    weights[0][..., 3:] *= exact_alphas.detach().float()
    ((image * weights[0]).sum() + (alphas * weights[1]).sum()).backward()
    ((exact_image * weights[0]).sum() + (exact_alphas * weights[1]).sum()).backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None and exact[name].grad is not None
        assert (leaf.grad - exact[name].grad).norm() < 1e-4 * exact[name].grad.norm(), name


def test_many_channels_are_blended_like_few(scene, oracle):
    some = scene(40, 32, 2, scale=0.05, seed=4)
    features = torch.rand(40, 10, generator=torch.Generator().manual_seed(5)).requires_grad_()
    arguments = (*list(some.leaves.values())[:4], features, *some.arguments[5:])
    image, _, _ = rasterization(*arguments)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(6))
    (image * weights).sum().backward()

    exact = [leaf.detach().double().requires_grad_() for leaf in arguments[:5]]
    exact_image, _ = oracle.rasterize(
        *exact, *(camera.double() for camera in arguments[5:7]), 32, 32, torch.zeros(2, 10).double()
    )
    (exact_image[..., :10] * weights).sum().backward()
    torch.testing.assert_close(image.double(), exact_image[..., :10], rtol=0, atol=2e-5)
    for leaf, exact_leaf in zip(arguments[:5], exact, strict=True):
        assert (leaf.grad - exact_leaf.grad).norm() < 1e-4 * exact_leaf.grad.norm()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics_are_those_of_scipy(scene, oracle, degree):
    some = scene(30, 32, 2, sh_degree=3, scale=0.05, seed=7)
    image, _, _ = rasterization(*some.arguments, sh_degree=degree)
    cameras: Cameras = some.cameras
    for view in range(2):
        basis = oracle.sh_basis(degree, some.means.detach() - cameras.positions[view])
        colors = torch.einsum("nk,nkc->nc", basis, some.colors.detach().double()[:, : (degree + 1) ** 2])
        exact_leaves = [leaf.detach().double() for leaf in list(some.leaves.values())[:4]]
        exact_image, _ = oracle.rasterize(
            *exact_leaves, (colors + 0.5).clamp(min=0), cameras.world_to_camera[[view]].double(),
            cameras.K[[view]].double(), 32, 32, torch.zeros(1, 3).double(),
        )  # fmt: skip
        torch.testing.assert_close(image[view].double(), exact_image[0, ..., :3], rtol=0, atol=2e-5)


def test_absgrad_sums_the_pixels_absolute_gradients(scene, oracle):
    some = scene(6, 20, 1, scale=0.08, seed=8)
    image, _, meta = rasterization(*some.arguments, absgrad=True)
    meta["means2d"].retain_grad()
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(9))
    (image * weights).sum().backward()

    means, quats, scales, opacities, colors = (leaf.detach().double() for leaf in some.leaves.values())
    view, K = some.cameras.world_to_camera[0].double(), some.cameras.K[0].double()
    means2d, covariances, depths = oracle.project(means, quats, scales, view, K)
    means2d.requires_grad_()
    exact_image, _ = oracle.composite(means2d, covariances, depths, opacities, colors, 20, 20)
    per_pixel = (exact_image * weights[0]).sum(dim=-1).flatten()
    absolute = sum(torch.autograd.grad(pixel, means2d, retain_graph=True)[0].abs() for pixel in per_pixel)
    torch.testing.assert_close(meta["means2d"].absgrad[0].double(), absolute, rtol=1e-3, atol=1e-5)
    assert (meta["means2d"].grad[0].abs() <= meta["means2d"].absgrad[0] * 1.0001).all()
