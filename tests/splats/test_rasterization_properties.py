"""What must hold of any rasterizer: determinism, backgrounds, culling, refusals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
import torch

from placid_kedro.errors import ParameterError, ShapeError
from placid_kedro.splats import compile_kernels, rasterization
from placid_kedro.splats.cpu import compositing, projection, tiling


def everything(scene, **options) -> list[torch.Tensor]:
    for leaf in scene.leaves.values():
        leaf.grad = None
    image, alphas, _ = rasterization(*scene.arguments, render_mode="RGB+ED", **options)
    (image.square().sum() + alphas.sum()).backward()
    return [image.detach(), alphas.detach(), *(leaf.grad for leaf in scene.leaves.values())]


def test_compiling_beforehand_leaves_nothing_to_compile(scene):
    compile_kernels()
    kernels = (
        projection.project_forward, projection.project_backward, tiling.fill_records, tiling.sort_into_tiles,
        tiling.sum_over_tiles, compositing.composite_forward, compositing.composite_backward,
    )  # fmt: skip
    before = [kernel.signatures[:] for kernel in kernels]
    assert all(len(signatures) == 1 for signatures in before)
    everything(scene(100, 40, sh_degree=1), sh_degree=1, backgrounds=torch.ones(2, 3), absgrad=True)
    assert [kernel.signatures for kernel in kernels] == before


def test_two_runs_give_the_same_bits(scene):
    some = scene(2000, 70)
    for first, second in zip(everything(some), everything(some), strict=True):
        assert torch.equal(first, second)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba may use one thread only")
def test_any_number_of_threads_gives_the_same_bits(scene):
    some = scene(2000, 70)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        single = everything(some)
        numba.set_num_threads(2)
        double = everything(some)
    finally:
        numba.set_num_threads(threads)
    for first, second in zip(single, double, strict=True):
        assert torch.equal(first, second)


def test_several_python_threads_may_rasterize_at_once(scene):
    alone = [everything(scene(300, 40, seed=seed)) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: everything(scene(300, 40, seed=seed)), range(12)))
    for separate, simultaneous in zip(alone, together, strict=True):
        for first, second in zip(separate, simultaneous, strict=True):
            assert torch.equal(first, second)


def test_the_order_of_the_gaussians_does_not_matter(scene):
    some = scene(1000, 40)
    permutation = torch.randperm(1000, generator=torch.Generator().manual_seed(1))
    shuffled = [leaf.detach()[permutation] for leaf in some.leaves.values()]
    image, _, _ = rasterization(*some.arguments)
    other, _, _ = rasterization(*shuffled, *some.arguments[5:])
    assert torch.equal(image, other)


@pytest.mark.parametrize("sh_degree", [None, 3])
def test_an_empty_view_is_the_background_and_has_no_gradients(scene, sh_degree):
    some = scene(100, 33, sh_degree=sh_degree)
    backgrounds = torch.tensor([[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]).requires_grad_()
    away = some.cameras.world_to_camera.clone()
    away[:, 2, 3] = -5.0  # everything is behind the cameras
    image, alphas, meta = rasterization(
        *some.arguments[:5], away, *some.arguments[6:], backgrounds=backgrounds, sh_degree=sh_degree,
        render_mode="RGB+ED",
    )  # fmt: skip
    assert torch.equal(image[..., :3], backgrounds[:, None, None].expand(2, 33, 33, 3))
    assert not image[..., 3].any() and not alphas.any() and not meta["radii"].any()
    (image.sum() + alphas.sum()).backward()
    for name, leaf in some.leaves.items():
        assert leaf.grad is not None and not leaf.grad.any(), name
    torch.testing.assert_close(backgrounds.grad, torch.full((2, 3), 33.0 * 33.0))


def test_no_gaussians_at_all(scene):
    some = scene(10, 20)
    none = [leaf.detach()[:0].requires_grad_() for leaf in some.leaves.values()]
    image, alphas, _ = rasterization(*none, *some.arguments[5:], backgrounds=torch.full((2, 3), 0.25))
    assert torch.equal(image, torch.full((2, 20, 20, 3), 0.25)) and not alphas.any()
    image.sum().backward()
    assert none[0].grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "colors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_gaussians_that_are_not_finite_are_left_out(scene, name, value):
    some = scene(200, 40, sh_degree=2)
    broken = {key: leaf.detach().clone() for key, leaf in some.leaves.items()}
    broken[name][::7] = value
    for leaf in broken.values():
        leaf.requires_grad_()
    kept = torch.ones(200, dtype=torch.bool)
    kept[::7] = False
    options = {"sh_degree": 2, "render_mode": "RGB+ED"}
    image, alphas, _ = rasterization(*broken.values(), *some.arguments[5:], **options)
    expected, _, _ = rasterization(
        *(leaf[kept] for leaf in some.leaves.values()), *some.arguments[5:], **options
    )
    assert torch.equal(image, expected)
    (image.sum() + alphas.sum()).backward()
    for key, leaf in broken.items():
        assert torch.isfinite(leaf.grad).all() and not leaf.grad[~kept].any(), key


def test_radius_clip_leaves_small_gaussians_out(scene):
    some = scene(300, 40, scale=0.02)
    _, _, everyone = rasterization(*some.arguments)
    radius_clip = 4.0
    _, _, clipped = rasterization(*some.arguments, radius_clip=radius_clip)
    large = (everyone["radii"] > radius_clip).any(dim=-1)
    assert 0 < int(large.sum()) < int((everyone["radii"] > 0).all(dim=-1).sum())
    assert torch.equal((clipped["radii"] > 0).all(dim=-1), large)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"quats": torch.zeros(10, 3)}, ShapeError, "quats"),
        ({"opacities": torch.zeros(10, 1)}, ShapeError, "opacities"),
        ({"colors": torch.zeros(9, 3)}, ShapeError, "colors"),
        ({"means": torch.zeros(10, 3, dtype=torch.float64)}, ShapeError, "float32"),
        ({"viewmats": torch.eye(4)}, ShapeError, "viewmats"),
        ({"Ks": torch.zeros(1, 3, 3)}, ShapeError, "Ks"),
        ({"backgrounds": torch.zeros(3)}, ShapeError, "backgrounds"),
        ({"sh_degree": 1}, ShapeError, "colors"),
        ({"sh_degree": 4, "colors": torch.zeros(10, 25, 3)}, ParameterError, "sh_degree"),
        ({"render_mode": "N"}, ParameterError, "render_mode"),
        ({"width": 0}, ParameterError, "image"),
        ({"near_plane": 0.0}, ParameterError, "near_plane"),
        ({"absgrad": True, "colors": torch.zeros(10, 5)}, ParameterError, "absgrad"),
        ({"viewmats": torch.eye(4).repeat(2, 1, 1).requires_grad_()}, ParameterError, "viewmats"),
    ],
)
def test_wrong_arguments_are_named(scene, change, error, named):
    some = scene(10, 16)
    names = (*some.leaves, "viewmats", "Ks", "width", "height")
    arguments = {**dict(zip(names, some.arguments, strict=True)), **change}
    with pytest.raises(error, match=named):
        rasterization(**arguments)
