"""Rendering and Eq. 10 against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import pearsonr

from placid_kedro.cameras import orbit
from placid_kedro.cameras.rays import compositing_weights, cube_interval, sample_rays
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane import LatentPlane, ObjectInputs
from placid_kedro.latent_plane.training.losses import (
    DensityRender,
    DensityTerms,
    RaySampling,
    density_loss,
    pearson,
    render_density,
    render_rays,
    silhouette_loss,
    soft_iou,
)


class AnalyticPlane:
    """A density that is known everywhere, with the one method and number that rendering asks for."""

    samples_per_ray = 512

    def __init__(self, raw_sigma):
        self.raw_sigma = raw_sigma

    def density_at(self, inputs, points):
        return self.raw_sigma(points)


NOTHING = ObjectInputs(torch.zeros(1, 1, 1, 1), torch.zeros(1))


def test_homogeneous_cube_follows_beer_lambert():
    softplus = 1.7
    raw = math.log(math.expm1(softplus))
    plane = AnalyticPlane(lambda points: torch.full((len(points),), raw))
    origins = torch.tensor([[-2.0, 0.1, 0.2], [-2.0, 0.9, 0.0], [2.0, 2.0, 0.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-1.0, -1.0, 0.0]])
    render = render_rays(plane, NOTHING, origins, directions)
    # Lengths inside the cube, in units of the direction: 1, 0 and 1; the last sample stands for a step more.
    step = 1 / 511
    optical = softplus * (1 + step)
    expected = 1 - math.exp(-optical)
    torch.testing.assert_close(render.occupancy, torch.tensor([expected, 0.0, expected]))
    torch.testing.assert_close(render.log_transmittance, torch.tensor([-optical, 0.0, -optical]))
    # Integral of (z0 + u) softplus exp(-softplus u) over u in [0, 1].
    mean = (1 - math.exp(-softplus) * (1 + softplus)) / softplus
    exact = 1.5 * (1 - math.exp(-softplus)) + mean
    torch.testing.assert_close(render.depth, torch.tensor([exact, 0.0, exact]), rtol=5e-3, atol=0)


def test_opaque_sphere_from_an_arbitrary_camera():
    radius = 0.3
    plane = AnalyticPlane(lambda points: (radius - points.norm(dim=-1)).sign() * 1e5)
    cameras = orbit([20.0, 250.0], [-15.0, 40.0], [1.8, 2.2], 64.0, 48)
    render = render_density(plane, NOTHING, cameras)
    assert render.occupancy.shape == (2, 48, 48)
    origins, directions = cameras.rays()
    unit = directions / directions.norm(dim=-1, keepdim=True)
    along = -(origins * unit).sum(-1)
    closest = (origins.square().sum(-1) - along**2).clamp(min=0).sqrt()
    clear = (closest - radius).abs() > 0.01
    assert torch.equal((render.occupancy > 0.5)[clear], (closest < radius)[clear])
    hit = clear & (closest < radius)
    # Planar depth of the first intersection, to within a sample.
    surface = (along - (radius**2 - closest**2).clamp(min=0).sqrt()) / directions.norm(dim=-1)
    assert (render.depth - surface)[hit].abs().max() < 2 * 1.8 / 511
    assert 0.02 < hit.float().mean() < 0.9


def test_samples_without_leverage_get_no_gradient():
    """The render is the same; samples before the surface in empty space and behind it are left alone."""
    raw = torch.tensor([-30.0, -3.0, 9.0, 2.0, 1.0], requires_grad=True)
    plane = AnalyticPlane(lambda points: raw[(points[:, 0] * 4 + 2).round().long()])
    ray = torch.tensor([[-2.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    gradients, values = [], []
    for threshold in (0.0, 1e-12, 0.05, 10.0):
        render = render_rays(plane, NOTHING, *ray, RaySampling(5, threshold))
        values.append(torch.stack([render.occupancy, render.depth, render.log_transmittance]).detach())
        gradients.append(torch.autograd.grad(render.depth.sum(), raw)[0])
    assert all(torch.equal(one, values[0]) for one in values)
    torch.testing.assert_close(gradients[1], gradients[0])
    # T_k sigmoid(r_k) d_k with d = 1/4: 2e-14, 0.012, 0.25, and behind the surface 0.023 and 0.011.
    assert (gradients[2] != 0).tolist() == [False, False, True, False, False]
    assert gradients[2][2] == gradients[0][2]
    assert (gradients[3] != 0).sum() == 1  # one always has a gradient


def test_weights_sum_to_one_minus_transmittance_and_are_those_of_the_recursion():
    generator = torch.Generator().manual_seed(0)
    raw, distances = torch.randn(5, 9, generator=generator) * 3, torch.rand(5, 9, generator=generator)
    weights = compositing_weights(raw, distances).double().numpy()
    alpha = 1 - np.exp(-np.logaddexp(0, raw.double().numpy()) * distances.double().numpy())
    for ray in range(5):
        transmittance = 1.0
        for k in range(9):
            np.testing.assert_allclose(weights[ray, k], transmittance * alpha[ray, k], rtol=1e-5, atol=1e-7)
            transmittance *= 1 - alpha[ray, k]


def test_samples_span_the_cube_including_both_ends():
    origins = torch.tensor([[-2.0, 0.25, 0.0], [-2.0, 0.25, 0.0], [0.0, 0.0, 0.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    samples = sample_rays(origins, directions, 5)
    assert samples.used.tolist() == [True, False, True]
    torch.testing.assert_close(samples.depths[0], torch.tensor([1.5, 1.75, 2.0, 2.25, 2.5]))
    torch.testing.assert_close(samples.depths[2], torch.tensor([0.0, 0.0625, 0.125, 0.1875, 0.25]))
    near, far = cube_interval(origins, directions)
    crossed = sample_rays(origins, directions, 5, "crossed")
    assert near[1] > far[1] and crossed.used.all()
    torch.testing.assert_close(crossed.depths[1], torch.linspace(far[1], near[1], 5))


def render_of(logits: torch.Tensor, depth: torch.Tensor) -> DensityRender:
    """A render whose occupancy is the logistic function of `logits`."""
    return DensityRender(logits.sigmoid(), depth, torch.nn.functional.logsigmoid(-logits))


def test_loss_is_equation_10():
    generator = np.random.default_rng(1)
    logits, depth, true_depth = (generator.normal(size=(3, 40)) for _ in range(3))
    mask = (generator.random((3, 40)) > 0.4).astype(float)
    occupancy = expit(logits)
    bce = -(mask * np.log(occupancy) + (1 - mask) * np.log(1 - occupancy)).mean()
    tensors = [torch.tensor(v, dtype=torch.float32) for v in (logits, depth, mask, true_depth)]
    render = render_of(tensors[0], tensors[1])
    whole = np.mean([pearsonr(depth[i], np.where(mask[i] > 0, true_depth[i], 0)).statistic for i in range(3)])
    inside = np.mean([pearsonr(depth[i][m], true_depth[i][m]).statistic for i, m in enumerate(mask > 0)])
    for pixels, correlation in (("all", whole), ("foreground", inside)):
        terms = DensityTerms(depth_pixels=pixels)
        losses = density_loss(render, tensors[2], tensors[3], terms)
        assert losses["silhouette"] == pytest.approx(bce, rel=1e-5)
        assert losses["depth_pearson"] == pytest.approx(correlation, abs=1e-5)
        assert losses["loss"] == pytest.approx(bce + 0.05 * (1 - correlation), rel=1e-5)


def test_the_overlap_is_the_iou_of_hard_masks_and_is_weighed():
    generator = np.random.default_rng(2)
    first, second = (generator.random((2, 3, 50)) > 0.5).astype(np.float32)
    expected = [
        np.logical_and(a, b).sum() / np.logical_or(a, b).sum() for a, b in zip(first, second, strict=True)
    ]
    overlap = soft_iou(torch.tensor(first), torch.tensor(second))
    torch.testing.assert_close(overlap, torch.tensor(expected, dtype=torch.float32))
    render = render_of(torch.tensor(first) * 40 - 20, torch.zeros(3, 50))
    plain, with_overlap = (
        density_loss(render, torch.tensor(second), torch.ones(3, 50), DensityTerms(overlap_weight=weight))
        for weight in (0.0, 0.7)
    )
    assert with_overlap["soft_iou"] == pytest.approx(np.mean(expected), abs=1e-5)
    difference = with_overlap["loss"] - plain["loss"]
    assert difference == pytest.approx(0.7 * (1 - np.mean(expected)), abs=1e-5)


def test_overlap_draws_a_part_that_is_rather_not_there_and_cross_entropy_does_not():
    """Five pixels that are sure, and ten of which 45% are there. At one half for each, the IoU still wants more."""
    mask = torch.zeros(1, 40)
    mask[:, :9], mask[:, 9] = 1, 0.5
    wants_more = []
    for weight in (0.0, 50.0):
        logit = torch.zeros(1, requires_grad=True)
        logits = torch.cat([torch.full((5,), 8.0), logit.expand(10), torch.full((25,), -8.0)])[None]
        terms = DensityTerms(depth_weight=0.0, overlap_weight=weight)
        density_loss(render_of(logits, torch.zeros(1, 40)), mask, mask, terms)["loss"].backward()
        assert logit.grad is not None
        wants_more.append(float(logit.grad) < 0)
    assert wants_more == [False, True]


def test_depth_outside_the_mask_may_be_anything():
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    render = render_of(torch.zeros(1, 4), torch.tensor([[1.0, 2.0, 4.0, 0.5]]))
    finite = density_loss(render, mask, torch.tensor([[1.0, 2.0, 3.0, 0.0]]))
    infinite = density_loss(render, mask, torch.tensor([[1.0, 2.0, 3.0, torch.inf]]))
    assert finite["loss"] == infinite["loss"]


def test_saturated_occupancy_still_has_a_gradient():
    """At an optical depth of 60 the occupancy is 1 in float32; an empty pixel still loses 60, linearly."""
    optical = torch.tensor([60.0], requires_grad=True)
    render = DensityRender(-torch.expm1(-optical), torch.zeros(1), -optical)
    loss = silhouette_loss(render, torch.zeros(1))
    loss.backward()
    assert loss.item() == 60.0 and optical.grad.item() == 1.0


def test_correlation_of_a_constant_is_zero_with_a_finite_gradient():
    constant = torch.ones(1, 5, requires_grad=True)
    value = pearson(constant, torch.arange(5.0)[None], torch.ones(1, 5))
    value.sum().backward()
    assert value.item() == 0 and constant.grad.isfinite().all()
    assert pearson(torch.ones(1, 5), torch.zeros(1, 5), torch.zeros(1, 5)).item() == 0


def test_real_plane_renders_its_own_views_occupancy():
    """Rendered from its own cameras at the feature maps' size, the occupancy is what `forward` returns."""
    torch.manual_seed(0)
    plane = LatentPlane(
        6, 5, token_channels=4, num_heads=2, density_head_dim=2, feature_head_dim=2, samples_per_ray=8
    )
    generator = torch.Generator().manual_seed(2)
    features, t_emb = torch.randn(8, 6, 4, 4, generator=generator), torch.randn(5, generator=generator)
    with torch.no_grad():
        render = render_density(plane, ObjectInputs(features, t_emb), plane.cameras.resized(4, 4))
        _, occupancy = plane(features, t_emb)
    torch.testing.assert_close(render.occupancy, occupancy[:, 0], rtol=1e-3, atol=1e-4)


def test_maps_of_another_shape_are_refused():
    render = render_of(torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(ShapeError, match=r"\[2, 4\], got \[2, 5\]"):
        density_loss(render, torch.zeros(2, 5), torch.zeros(2, 5))


def test_pearson_is_numpys_row_by_row_whatever_the_scale():
    generator = torch.Generator().manual_seed(3)
    first, second = torch.randn(2, 3, 20, generator=generator, dtype=torch.float64)
    second = 0.5 * first + second
    rows = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(first.numpy(), second.numpy(), strict=True)]
    ones = torch.ones_like(first)
    for scale in (1.0, 0.03, 40.0):
        torch.testing.assert_close(
            pearson(scale * first, second, ones), torch.tensor(rows, dtype=torch.float64)
        )
    # A weight of zero takes a value out.
    kept = ones.clone()
    kept[:, 10:] = 0
    torch.testing.assert_close(
        pearson(first, second, kept), pearson(first[:, :10], second[:, :10], ones[:, :10])
    )
