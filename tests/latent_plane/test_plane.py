"""The module itself: other widths, views, batches, blocks, saving, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from placid_kedro.cameras import Cameras, orbit
from placid_kedro.errors import ModelError, ParameterError
from placid_kedro.latent_plane import Evaluation, LatentPlane
from placid_kedro.latent_plane.evaluation import fast

SMALL = {
    "feature_channels": 12,
    "time_embedding_dim": 16,
    "token_channels": 8,
    "num_heads": 8,
    "density_head_dim": 2,
    "feature_head_dim": 3,
    "samples_per_ray": 6,
}
THREE_CAMERAS = orbit([0.0, 100.0, 200.0], 20.0, 1.5, 280.0, 256)


def small_plane(name: str = "paper", **config) -> LatentPlane:
    torch.manual_seed(5)
    plane = LatentPlane.from_preset(name, **{**SMALL, **config}).eval()
    with torch.no_grad():
        for parameter in plane.parameters():
            parameter.mul_(1.5)
        plane.sigma_head.weight.mul_(4)
    return plane


def sharpened_plane(part: str, share_layers: bool, scale: float):
    """A plane, whose `part`'s softmax `scale` drives towards saturation, and its inputs."""
    plane = small_plane(cameras=THREE_CAMERAS, share_layers=share_layers)
    with torch.no_grad():
        for layer in getattr(plane, f"{part}_transformer").layers:
            layer.to_q.weight.mul_(scale)
    return plane, *inputs(plane)


def evaluated(plane: LatentPlane, **settings) -> LatentPlane:
    return plane.with_evaluation(Evaluation(**settings))


def inputs(plane: LatentPlane, size: int = 6, objects: int | None = None):
    generator = torch.Generator().manual_seed(0)
    lead = () if objects is None else (objects,)
    shape = (*lead, len(plane.cameras), plane.config.feature_channels, size, size)
    return (
        torch.randn(shape, generator=generator),
        torch.randn((*lead, plane.config.time_embedding_dim), generator=generator),
    )


def authors_names(plane: LatentPlane) -> tuple[dict, dict]:
    """The plane's weights as the oracle names them."""
    state = {name: value.double().numpy() for name, value in plane.state_dict().items()}
    renamed = {
        "sigma_embedding": "sigma_embeddings",
        "feature_projection": "latent_feature_ln",
        "time_projection": "time_feature_ln",
        "sigma_token": "sigma_query_ln",
        "sigma_head": "sigma_net",
    }
    coarse, fine = {}, {}
    for name, value in state.items():
        if name.startswith(("refinement.", "silhouette_head.")):  # not the oracle's
            continue
        head, _, tail = name.partition(".")
        tail = tail.replace("to_out.", "to_out.0.").replace("norm.", "transformer_layer_norm.")
        tail = tail.replace("layers.", "transformer.")
        if head == "feature_transformer":
            fine[tail] = value
        elif head == "density_transformer":
            coarse[tail] = value
        else:
            coarse[".".join(filter(None, [renamed[head], tail]))] = value
    return coarse, fine


@pytest.mark.parametrize("combination", ["add", "blend"])
@pytest.mark.parametrize("num_views", [4, 8, 16])
def test_any_ring_of_views_equals_the_formulas(oracle, num_views, combination):
    azimuths = [360.0 * i / num_views for i in range(num_views)]
    plane = small_plane(cameras=orbit(azimuths, 30.0, 1.5, 280.0, 256), combination=combination)
    features, t_emb = inputs(plane)
    with torch.no_grad():
        enhanced, occupancy = plane(features, t_emb)
    coarse, fine = authors_names(plane)
    poses = oracle.ring(azimuths)
    for view, row, column in ((0, 2, 3), (num_views - 1, 4, 1), (1, 0, 5)):
        value, expected = oracle.pixel(
            coarse,
            fine,
            features.double().numpy(),
            t_emb.double().numpy(),
            view,
            row,
            column,
            poses,
            samples=6,
            combination=combination,
            missed_rays="empty",
        )
        assert abs(occupancy[view, 0, row, column].item() - expected) < 2e-5
        np.testing.assert_allclose(enhanced[view, :, row, column].double(), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("share_layers", [False, True])
def test_any_number_of_layers_equals_the_formulas(oracle, monkeypatch, num_layers, share_layers):
    plane = small_plane(num_layers=num_layers, share_layers=share_layers)
    features, t_emb = inputs(plane)
    coarse, fine = authors_names(plane)
    if share_layers:
        for weights in (coarse, fine):
            for name in [n for n in weights if n.startswith("transformer.0.")]:
                for layer in range(1, num_layers):
                    weights[name.replace("transformer.0.", f"transformer.{layer}.")] = weights[name]
    transform = oracle.transform
    monkeypatch.setattr(oracle, "transform", lambda tokens, weights: transform(tokens, weights, num_layers))
    points = torch.tensor([[0.1, -0.2, 0.3], [-0.4, 0.0, 0.2]])
    with torch.no_grad():
        enhanced, _ = plane(features, t_emb)
        compiled = plane.density(features, t_emb, points)
    sigma = plane.density(features, t_emb, points).detach()
    maps, time = features.double().numpy(), t_emb.double().numpy()
    expected = [oracle.density(coarse, maps, time, p) for p in points.double().numpy()]
    np.testing.assert_allclose(sigma, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(compiled, expected, rtol=1e-4, atol=1e-4)
    value, _ = oracle.pixel(
        coarse, fine, maps, time, 2, 3, 2, samples=6, combination="add", missed_rays="empty"
    )
    np.testing.assert_allclose(enhanced[2, :, 3, 2], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share_layers", [False, True])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_compiled_density_is_the_same_density(share_layers, scale):
    """Inference on the CPU runs a compiled loop; `scale` drives its softmax into saturation."""
    plane, features, t_emb = sharpened_plane("density", share_layers, scale)
    points = torch.rand(133, 3, generator=torch.Generator().manual_seed(7)) - 0.5
    differentiable = plane.density(features, t_emb, points)
    assert differentiable.requires_grad
    with torch.no_grad():
        compiled = evaluated(plane, block_size=50).density(features, t_emb, points)
    torch.testing.assert_close(compiled, differentiable.detach(), rtol=2e-5, atol=2e-5)


def test_training_the_features_may_use_the_compiled_density(monkeypatch):
    """With a frozen density the second stage's gradients are those of the differentiable path."""

    def gradients():
        plane = small_plane(cameras=THREE_CAMERAS)
        for parameter in plane.density_parameters():
            parameter.requires_grad_(False)
        features, t_emb = inputs(plane)
        assert not plane.density(features, t_emb, torch.zeros(2, 3)).requires_grad
        plane(features, t_emb)[0].square().mean().backward()
        return [parameter.grad for parameter in plane.feature_parameters()]

    compiled = gradients()
    monkeypatch.setattr(fast, "may_compile", lambda *parts: False)
    for ours, theirs in zip(compiled, gradients(), strict=True):
        assert ours is not None and theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_batch_is_object_by_object():
    plane = small_plane()
    features, t_emb = inputs(plane, objects=3)
    points = torch.rand(3, 7, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    with torch.no_grad():
        enhanced, occupancy = plane(features, t_emb)
        sigma = plane.density(features, t_emb, points)
        for i in range(3):
            one, one_occupancy = plane(features[i], t_emb[i])
            torch.testing.assert_close(enhanced[i], one)
            torch.testing.assert_close(occupancy[i], one_occupancy)
            torch.testing.assert_close(sigma[i], plane.density(features[i], t_emb[i], points[i]))
    assert (enhanced[0] - enhanced[1]).abs().max() > 0.1


def test_block_size_and_checkpointing_change_memory_only():
    plane = small_plane()
    features, t_emb = inputs(plane)
    results = []
    for block_size, checkpointing in ((10**6, False), (97, False), (97, True)):
        one = evaluated(plane, block_size=block_size)
        if checkpointing:
            one.enable_gradient_checkpointing()
        plane.zero_grad()
        enhanced, occupancy = one(features, t_emb)
        (enhanced.square().mean() + occupancy.mean()).backward()
        gradients = {name: p.grad.clone() for name, p in plane.named_parameters()}
        results.append((enhanced.detach(), gradients))
    for enhanced, gradients in results[1:]:
        torch.testing.assert_close(enhanced, results[0][0])
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, results[0][1][name], rtol=1e-3, atol=1e-6)
            assert gradient.abs().max() > 0, name


def test_gradients_equal_finite_differences():
    plane = small_plane(num_octaves=1)
    features, t_emb = inputs(plane, size=4)
    points = torch.tensor([[0.1, -0.2, 0.3], [-0.4, 0.0, 0.2]])
    direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(9))
    features.requires_grad_()
    analytic = (
        torch.autograd.grad(plane.density(features, t_emb, points).sum(), features)[0] * direction
    ).sum()
    with torch.no_grad():
        step = 1e-2
        ahead, behind = (
            plane.density(features + sign * step * direction, t_emb, points).sum() for sign in (1, -1)
        )
    numeric = (ahead - behind) / (2 * step)
    assert abs(analytic - numeric) < 0.02 * abs(numeric) + 1e-3


def test_saved_and_loaded_in_diffusers_layout(tmp_path):
    cameras = orbit([10.0, 100.0, 300.0], [5.0, 20.0, -10.0], 2.0, 300.0, 256)
    plane = small_plane("official", cameras=cameras)
    plane.save_pretrained(tmp_path / "plane")
    assert {p.name for p in (tmp_path / "plane").iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }
    loaded = LatentPlane.from_pretrained(tmp_path / "plane")
    features, t_emb = inputs(plane)
    with torch.no_grad():
        for ours, theirs in zip(plane(features, t_emb), loaded(features, t_emb), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for name, tensor in plane.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert torch.equal(loaded.cameras.world_to_camera, cameras.world_to_camera)


@pytest.mark.parametrize("share_layers", [False, True])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_compiled_features_are_the_same_features(share_layers, scale):
    """As for the density: the differentiable path is the other implementation."""
    plane, features, t_emb = sharpened_plane("feature", share_layers, scale)
    differentiable, _ = plane(features, t_emb)
    assert differentiable.requires_grad
    with torch.no_grad():
        compiled, _ = evaluated(plane, block_size=50)(features, t_emb)
    torch.testing.assert_close(compiled, differentiable.detach(), rtol=1e-4, atol=1e-4)


def test_the_heaviest_samples_stand_for_their_ray(monkeypatch):
    """With all of its samples a ray is as it was. Fewer keep its weight: where the tokens are the same all along a
    ray, nothing changes."""
    plane = small_plane()
    all_samples, two = (evaluated(plane, feature_samples=count) for count in (6, 2))
    features, t_emb = inputs(plane, size=8)
    with torch.no_grad():
        exact, occupancy = plane(features, t_emb)
        torch.testing.assert_close(all_samples(features, t_emb)[0], exact)
        fewer, same = two(features, t_emb)
        assert torch.equal(same, occupancy)
        assert not torch.allclose(fewer, exact, atol=1e-2)
        uniform = torch.ones_like(features)
        for one in (plane, two):
            rays = one.view_rays(8, 8)
            rays.points.embedding.zero_()
        torch.testing.assert_close(two(uniform, t_emb), plane(uniform, t_emb), rtol=1e-4, atol=1e-4)


def test_rays_of_little_occupancy_get_no_features():
    plane = small_plane()
    features, t_emb = inputs(plane, size=8)
    with torch.no_grad():
        exact, occupancy = plane(features, t_emb)
        level = float(occupancy.median())
        sparse, _ = evaluated(plane, occupancy_threshold=level)(features, t_emb)
    seen = (occupancy > level).expand_as(features)
    torch.testing.assert_close(sparse[seen], exact[seen])
    assert torch.equal(sparse[~seen], features[~seen])
    assert 0 < int(seen.sum()) < seen.numel()


def test_a_coarse_grid_changes_nothing_where_it_is_linear_or_not_trusted(monkeypatch):
    plane = small_plane()
    features, t_emb = inputs(plane, size=8)
    with torch.no_grad():
        exact, occupancy = plane(features, t_emb)
        everywhere, _ = evaluated(plane, lattice_size=5, lattice_threshold=-1.0)(features, t_emb)
        torch.testing.assert_close(everywhere, exact, rtol=1e-4, atol=1e-4)
        coarse = evaluated(plane, lattice_size=5, lattice_threshold=1.0)  # looks closer nowhere
        _, coarse_occupancy = coarse(features, t_emb)
        assert not torch.allclose(coarse_occupancy, occupancy, atol=1e-3)

        def linear(points):
            return points.embedding[:, :3] @ torch.tensor([3.0, -2.0, 1.0]) + 1

        monkeypatch.setattr(fast.FastEvaluator, "density_of", lambda self, inputs: linear)
        torch.testing.assert_close(coarse(features, t_emb), plane(features, t_emb), rtol=1e-4, atol=1e-4)


def test_a_coarse_grid_finds_an_object_and_looks_closer_there_only(monkeypatch):
    """A soft ball: opacities change by little, and most of the cube is not evaluated."""
    plane = small_plane()
    coarse = evaluated(plane, lattice_size=8, lattice_threshold=0.01)
    features, t_emb = inputs(plane, size=16)
    asked = []

    def ball(points):
        asked.append(len(points))
        distance = (points.embedding[:, :3] - torch.tensor([0.1, 0.0, -0.1])).norm(dim=-1)
        return 40 * (0.25 - distance)

    monkeypatch.setattr(fast.FastEvaluator, "density_of", lambda self, inputs: ball)
    with torch.no_grad():
        _, occupancy = plane(features, t_emb)
        _, coarse_occupancy = coarse(features, t_emb)
    every, grid, closer = asked
    assert grid == 8**3 and closer < 0.5 * every
    assert float(occupancy.max()) > 0.9
    assert float((coarse_occupancy - occupancy).abs().max()) < 6 * 0.01


def test_half_precision_features_come_back_in_their_dtype():
    plane = small_plane()
    features, t_emb = inputs(plane)
    with torch.no_grad():
        enhanced, occupancy = plane(features.half(), t_emb.half())
        exact, _ = plane(features, t_emb)
    assert enhanced.dtype == torch.float16 and occupancy.dtype == torch.float32
    torch.testing.assert_close(enhanced.float(), exact, rtol=2e-2, atol=2e-2)


def test_paper_ring_by_default():
    plane = small_plane()
    assert len(plane.cameras) == 8
    expected = 1.5 * np.array([np.sqrt(3) / 2, 0.0, 0.5])
    np.testing.assert_allclose(plane.cameras.positions[0], expected, atol=1e-6)
    # Counter-clockwise: the third view stands on +y.
    np.testing.assert_allclose(plane.cameras.positions[2], expected[[1, 0, 2]], atol=1e-6)


def test_camera_inside_the_cube_sees_only_what_is_before_it():
    inside = Cameras(torch.eye(4)[None], torch.tensor([[[4.0, 0, 4], [0, 4, 4], [0, 0, 1]]]), 8, 8)
    plane = small_plane(cameras=inside)
    assert plane.view_rays(8, 8).depths.min() >= 0


@pytest.mark.parametrize(
    "config",
    [
        {"num_heads": 0},
        {"combination": "multiply"},
        {"missed_rays": "all"},
        {"samples_per_ray": 1},
    ],
)
def test_impossible_settings_are_refused(config):
    with pytest.raises(ParameterError, match=next(iter(config))):
        LatentPlane(**{**SMALL, **config})


@pytest.mark.parametrize(
    "settings", [{"block_size": 0}, {"feature_samples": 0}, {"lattice_size": 1}, {"method": "guess"}]
)
def test_impossible_evaluations_are_refused(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        Evaluation(**settings)


def test_an_evaluation_shares_the_weights_and_is_saved_with_the_plane(tmp_path):
    plane = small_plane()
    twin = evaluated(plane, feature_samples=2)
    assert twin.sigma_embedding is plane.sigma_embedding and plane.evaluation.feature_samples is None
    twin.save_pretrained(tmp_path)
    assert LatentPlane.from_pretrained(tmp_path).evaluation == twin.evaluation


def test_a_plane_of_an_earlier_release_is_refused():
    with pytest.raises(ModelError, match="saved by an earlier release"):
        LatentPlane.from_config({**SMALL, "block_size": 512})
