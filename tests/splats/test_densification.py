"""Cloning, splitting, pruning and resetting, each forced by a gradient made by hand; then an optimisation."""

from __future__ import annotations

import pytest
import torch
from gsplat.strategy import DefaultStrategy
from pydantic import ValidationError
from torch import Tensor

from placid_kedro.cameras import orbit
from placid_kedro.errors import ParameterError
from placid_kedro.splats import Densification, DensificationConfig, Gaussians, render

SIZE = 32
EXTENT = 1.0
CONFIG = DensificationConfig(
    start=0,
    stop=100,
    every=10,
    gradient=1.0,
    percent_dense=0.05,
    minimum_opacity=0.01,
    reset_every=50,
    maximum=100,
)
SMALL, LARGE = 0.01, 0.08  # below and above percent_dense x extent


def setup(scales: list[float], opacities: list[float], config: DensificationConfig = CONFIG, seed: int = 0):
    count = len(scales)
    points = torch.arange(count).float()[:, None].repeat(1, 3)
    gaussians = Gaussians.from_points(points, torch.rand(count, 3))
    gaussians.log_scales.copy_(torch.tensor(scales).log()[:, None])
    gaussians.logit_opacities.copy_(torch.tensor(opacities).logit())
    parameters = gaussians.to_parameters()
    optimizers = {name: torch.optim.Adam([parameter], lr=0.1) for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad()
    densification = Densification(config, EXTENT, torch.Generator().manual_seed(seed))
    return densification, parameters, optimizers


def meta_with_gradients(gradients: list[float]) -> dict[str, object]:
    """One camera that sees all; gradients in half image widths like the threshold."""
    means2d = torch.zeros(1, len(gradients), 2, requires_grad=True)
    means2d.grad = torch.tensor(gradients)[None, :, None] * torch.tensor([2.0 / SIZE, 0.0])
    return {
        "means2d": means2d,
        "radii": torch.ones(1, len(gradients), 2, dtype=torch.int32),
        "gaussian_ids": None,
        "width": SIZE,
        "height": SIZE,
        "n_cameras": 1,
    }


def snapshot(parameters) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def test_a_small_gaussian_is_cloned_and_a_large_one_split():
    densification, parameters, optimizers = setup([SMALL, LARGE, SMALL, LARGE], [0.5] * 4)
    before = snapshot(parameters)
    densification.after_backward(10, meta_with_gradients([2.0, 2.0, 0.5, 0.5]), parameters, optimizers)
    assert len(parameters["means"]) == 6
    kept = [0, 2, 3, 0]  # all but the one that is split, then the clone
    for name, parameter in parameters.items():
        assert torch.equal(parameter.detach()[:4], before[name][kept]), name
    halves = parameters["means"].detach()[4:]
    assert ((halves - before["means"][1]).abs() < 6 * LARGE * 1.2).all() and not torch.equal(*halves)
    torch.testing.assert_close(
        parameters["scales"].detach()[4:].exp(), (before["scales"][1].exp() / 1.6).expand(2, 3)
    )
    for name, optimizer in optimizers.items():
        assert optimizer.param_groups[0]["params"][0] is parameters[name]
        momentum = optimizer.state[parameters[name]]["exp_avg"]
        assert momentum.shape == parameters[name].shape and momentum[:3].all() and not momentum[3:].any()


def test_a_transparent_gaussian_is_pruned():
    densification, parameters, optimizers = setup([SMALL] * 3, [0.5, 0.005, 0.5])
    before = snapshot(parameters)
    densification.after_backward(10, meta_with_gradients([0.0] * 3), parameters, optimizers)
    assert torch.equal(parameters["means"].detach(), before["means"][[0, 2]])


@pytest.mark.parametrize("step", [0, 7, 100, 110])
def test_nothing_happens_at_other_steps(step):
    densification, parameters, optimizers = setup([SMALL, LARGE], [0.5, 0.5])
    densification.after_backward(step, meta_with_gradients([9.0, 9.0]), parameters, optimizers)
    assert len(parameters["means"]) == 2


def test_gradients_are_averaged_over_the_steps_in_which_a_gaussian_was_seen():
    densification, parameters, optimizers = setup([SMALL, SMALL], [0.5, 0.5])
    for step in range(8, 10):
        densification.after_backward(step, meta_with_gradients([0.0, 0.9]), parameters, optimizers)
    meta = meta_with_gradients([2.0, 1.5])
    meta["radii"][0, 0] = 0  # not seen now: its gradient does not count
    densification.after_backward(10, meta, parameters, optimizers)
    assert len(parameters["means"]) == 3  # (0.9 + 0.9 + 1.5) / 3 > 1


@pytest.mark.parametrize(("maximum", "grown"), [(4, []), (5, [2]), (6, [2, 1]), (7, [2, 1, 3])])
def test_the_limit_is_kept_and_the_largest_gradients_grow(maximum, grown):
    config = CONFIG.model_copy(update={"maximum": maximum})
    densification, parameters, optimizers = setup([SMALL] * 4, [0.5] * 4, config)
    before = snapshot(parameters)
    densification.after_backward(10, meta_with_gradients([0.1, 3.0, 4.0, 2.0]), parameters, optimizers)
    assert torch.equal(parameters["means"].detach()[4:], before["means"][sorted(grown)])


def test_opacities_are_reset():
    densification, parameters, optimizers = setup([SMALL] * 2, [0.5, 0.015])
    faint = parameters["opacities"].detach()[1].clone()
    densification.after_backward(50, meta_with_gradients([0.0, 0.0]), parameters, optimizers)
    torch.testing.assert_close(parameters["opacities"].detach()[0].sigmoid(), torch.tensor(0.02))
    assert parameters["opacities"].detach()[1] == faint
    assert not optimizers["opacities"].state[parameters["opacities"]]["exp_avg"].any()


def test_wide_gaussians_are_pruned_after_the_first_reset():
    densification, parameters, optimizers = setup([SMALL, 0.5], [0.5, 0.5])
    densification.after_backward(40, meta_with_gradients([0.0, 0.0]), parameters, optimizers)
    assert len(parameters["means"]) == 2
    densification.after_backward(60, meta_with_gradients([0.0, 0.0]), parameters, optimizers)
    assert len(parameters["means"]) == 1


def test_the_generator_alone_decides_where_the_halves_go():
    results = []
    for seed in (1, 1, 2):
        densification, parameters, optimizers = setup([LARGE, SMALL], [0.5, 0.5], seed=seed)
        torch.manual_seed(len(results))
        state = torch.get_rng_state()
        densification.after_backward(10, meta_with_gradients([5.0, 0.0]), parameters, optimizers)
        assert torch.equal(torch.get_rng_state(), state)
        results.append(parameters["means"].detach())
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_a_real_optimisation_grows_towards_its_target():
    cameras = orbit([0.0, 120.0, 240.0], 20.0, 1.5, 36.0, SIZE)
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(150, 3, generator=generator) - 0.5
    colors = torch.rand(150, 3, generator=generator)
    target = render(Gaussians.from_points(points, colors, opacity=0.9), cameras, torch.ones(3)).rgb
    start = Gaussians.from_points(points[::10], torch.full((15, 3), 0.5), opacity=0.5)
    parameters = start.to_parameters()
    rates = {"means": 5e-3, "quats": 1e-2, "scales": 2e-2, "opacities": 5e-2, "sh0": 5e-2}
    optimizers = {name: torch.optim.Adam([p], lr=rates[name], eps=1e-15) for name, p in parameters.items()}
    config = DensificationConfig(start=10, stop=60, every=10, gradient=1e-4, reset_every=1000, maximum=40)
    densification = Densification(config, 1.0, torch.Generator().manual_seed(4))
    losses = []
    for step in range(80):
        views = render(Gaussians.from_parameters(parameters), cameras, torch.ones(3))
        loss = (views.rgb - target).square().mean()
        densification.before_backward(views.meta)
        loss.backward()
        densification.after_backward(step, views.meta, parameters, optimizers)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert 15 < len(parameters["means"]) <= 40
    assert losses[-1] < 0.2 * losses[0]


def test_parameters_and_optimizers_must_match():
    densification, parameters, optimizers = setup([SMALL] * 2, [0.5] * 2)
    del optimizers["sh0"]
    with pytest.raises(ParameterError, match="sh0"):
        densification.after_backward(10, meta_with_gradients([0.0] * 2), parameters, optimizers)


@pytest.mark.parametrize(
    "change", [{"every": 0}, {"minimum_opacity": 0.7}, {"surprise": 1}, {"maximum": 1.5}]
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ValidationError):
        DensificationConfig(**change)


def test_the_extent_must_be_positive():
    with pytest.raises(ParameterError, match="scene_extent"):
        Densification(CONFIG, 0.0, torch.Generator())


def test_what_is_noted_of_each_step_is_what_gsplat_notes(scene):
    """Three cameras, one of which sees a part only, against gsplat's own strategy, to the last bit."""
    some = scene(400, views=3)
    parameters = Gaussians.from_points(some.means.detach(), torch.rand(400, 3)).to_parameters()
    gaussians = Gaussians.from_parameters(parameters)
    densification = Densification(CONFIG.model_copy(update={"start": 99}), EXTENT, torch.Generator())
    theirs = DefaultStrategy()
    expected = theirs.initialize_state(scene_scale=EXTENT)
    for step in range(2):
        views = render(gaussians, some.cameras, torch.ones(3))
        densification.before_backward(views.meta)
        (views.rgb * torch.rand(3, 3, 64, 64)).sum().backward()
        views.meta["radii"][1, ::3] = 0
        optimizers = {name: torch.optim.Adam([value]) for name, value in parameters.items()}
        densification.after_backward(step, views.meta, parameters, optimizers)
        theirs._update_state(parameters, expected, views.meta)
    noted = densification.state_dict()
    assert 0 < int((noted["count"] < 6).sum()) < 400
    assert torch.equal(noted["grad2d"], expected["grad2d"]) and torch.equal(noted["count"], expected["count"])
