"""What holds of every algorithm: fixed points, seeds, precisions, parameterisations, and what is refused."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.distillation import Conditioning, Distiller, NoisePredictor, latent_loss
from placid_kedro.distillation.config import (
    BSD,
    CSD,
    ISM,
    NFSD,
    SDS,
    VSD,
    VSDMGDA,
    FixedRatio,
)
from placid_kedro.errors import ModelError, ParameterError, ShapeError
from tests.distillation.algorithms_case import ALGORITHMS, ANALYTIC, run, seeded


def test_sds_averages_to_the_same_with_and_without_the_noise_term(gaussian, means, latents, t):
    """The mean of SDS over the noise against the closed form without e: E[e_u] = s a (x - mean) / var."""
    schedule, std = gaussian.schedule, gaussian.network.std
    count = 4000
    many = Conditioning(
        means.positive.repeat_interleave(count, 0), means.unconditional.repeat_interleave(count, 0)
    )
    repeated, times = latents.repeat_interleave(count, 0), t.repeat_interleave(count)
    gradients = run(SDS(guidance_scale=7.5), gaussian, many, repeated, times).gradient
    gradients = gradients.reshape(2, count, *latents.shape[1:])
    a, s = schedule.a(t), schedule.s(t)
    variance = a**2 * std**2 + s**2
    positive, empty = (m.reshape(latents.shape) for m in (means.positive, means.unconditional))
    without = s**2 * (s * a / variance) * (latents - empty - 7.5 * (positive - empty))
    standard_error = gradients.std(1) / math.sqrt(count)
    deviations = (gradients.mean(1) - without) / standard_error
    assert deviations.abs().max() < 5  # 96 normal deviates
    assert gradients.std(1).min() > 0


def test_sds_fixed_point_in_closed_form(gaussian, means, latents):
    """SDS at scale s settles at mean_u + s (mean_c - mean_u): the over-shoot that saturates."""
    scale, x = 3.0, latents.clone()
    generator, t = seeded(4), torch.tensor([700, 700])
    distiller = Distiller.create(SDS(guidance_scale=scale), gaussian, generator)
    trace = []
    for _ in range(1500):
        x = x - 0.1 * distiller(x, means, t, generator).gradient
        trace.append(x)
    positive, empty = (m.reshape(x.shape) for m in (means.positive, means.unconditional))
    settled = torch.stack(trace[500:]).mean(0)
    torch.testing.assert_close(settled, empty + scale * (positive - empty), rtol=0.03, atol=0.08)


@pytest.mark.parametrize("algorithm", [FixedRatio(ratio=3.0), BSD(lam=3.0)], ids=["fixed", "bsd"])
def test_guidances_that_agree_on_a_fixed_point_stay_there(schedule, algorithm):
    """Where the noise prediction is zero with and without the prompt nothing moves."""

    class Silent:
        def __call__(self, x_t, t, encoder_hidden_states, return_dict):
            return (torch.zeros_like(x_t),)

    conditioning = Conditioning(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))
    predictor = NoisePredictor(Silent(), schedule)
    x, t = torch.ones(2, 1, 4, 4), torch.tensor([10, 500])
    assert (run(algorithm, predictor, conditioning, x, t).gradient == 0).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{a.algorithm}")
def test_the_unet_stays_as_it_was(algorithm, unet, unet_predictor, prompts):
    unet.requires_grad_(True)
    unet.conv_in.requires_grad_(False)
    weights = copy.deepcopy(unet.state_dict())
    flags = {name: p.requires_grad for name, p in unet.named_parameters()}
    latents = torch.randn(3, 4, 8, 8, generator=seeded(1))
    distiller = Distiller.create(algorithm, unet_predictor, seeded(2))
    generator = seeded(3)
    for t in ([30, 500, 950], [100, 150, 250]):
        guidance = distiller(latents, prompts, torch.tensor(t), generator, 0.2)
        assert guidance.gradient.shape == latents.shape
        assert guidance.gradient.isfinite().all() and not guidance.gradient.requires_grad
    assert list(unet.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[name]) for name, value in unet.state_dict().items())
    assert {name: p.requires_grad for name, p in unet.named_parameters()} == flags
    assert all(p.grad is None for p in unet.parameters())
    assert unet.class_embedding is None and not unet.training


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{a.algorithm}")
def test_same_seed_same_bits(algorithm, unet_predictor, prompts):
    latents, t = torch.randn(3, 4, 8, 8, generator=seeded(1)), torch.tensor([30, 500, 950])
    first, again = (run(algorithm, unet_predictor, prompts, latents, t) for _ in range(2))
    assert torch.equal(first.gradient, again.gradient)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{a.algorithm}")
def test_half_precision_networks_and_latents(algorithm, unet, unet_predictor, prompts):
    """A network in bfloat16 gives nearly the gradient it gives in float32, in the latents' own dtype."""
    latents, t = torch.randn(3, 4, 8, 8, generator=seeded(1)), torch.tensor([30, 500, 950])
    exact = run(algorithm, unet_predictor, prompts, latents, t).gradient
    if isinstance(algorithm, VSDMGDA):
        assert exact.abs().max() < 1e-5  # an untrained LoRA copy leaves nothing but rounding
        return
    unet.to(torch.bfloat16)
    for dtype in (torch.float32, torch.bfloat16):
        gradient = run(algorithm, unet_predictor, prompts, latents.to(dtype), t).gradient
        assert gradient.dtype == dtype
        similarity = torch.cosine_similarity(gradient.float().flatten(1), exact.flatten(1))
        assert similarity.min() > 0.95


@pytest.mark.parametrize("algorithm", ANALYTIC, ids=lambda a: f"{a.algorithm}")
def test_velocity_and_sample_predictions_give_the_same_gradient(algorithm, gaussian, means, latents, t):
    expected = run(algorithm, gaussian, means, latents, t).gradient
    for prediction_type in ("v_prediction", "sample"):
        schedule = NoiseSchedule(gaussian.schedule.alphas_cumprod, prediction_type)
        network = replace(gaussian.network, schedule=schedule)
        other = run(algorithm, NoisePredictor(network, schedule), means, latents, t).gradient
        torch.testing.assert_close(other, expected)


@pytest.mark.parametrize("algorithm", ANALYTIC, ids=lambda a: f"{a.algorithm}")
def test_forwards_are_counted_as_made(algorithm, gaussian, means, latents, t):
    gaussian.network.evaluations = gaussian.network.calls = 0
    guidance = run(algorithm, gaussian, means, latents, t)
    assert guidance.diagnostics.forwards == gaussian.network.evaluations / len(latents)
    if not isinstance(algorithm, ISM):
        assert gaussian.network.calls == 1  # one batched forward


def test_latent_loss_has_the_given_gradient():
    gradient = torch.randn(2, 3, 4, 4, generator=seeded(0))
    weights = torch.randn(2, 3, 4, 4, generator=seeded(1)).requires_grad_()
    latents = weights**3  # any differentiable representation
    latent_loss(latents, gradient).backward()
    torch.testing.assert_close(weights.grad, 3 * weights.detach() ** 2 * gradient, rtol=1e-4, atol=1e-4)
    x = torch.randn(2, 3, 4, 4, generator=seeded(2)).requires_grad_()
    loss = latent_loss(x, gradient, reduction="mean")
    loss.backward()
    torch.testing.assert_close(x.grad, gradient / gradient.numel(), rtol=1e-3, atol=1e-7)
    assert loss.item() == pytest.approx(0.5 * gradient.square().mean().item(), rel=1e-3)


def test_refuses_what_does_not_belong_together(gaussian, means, latents, t):
    no_negative = replace(means, negative=None)
    for algorithm in (NFSD(), CSD(negative_weight=1.0), BSD(preset="official_3d")):
        with pytest.raises(ParameterError, match="negative prompt"):
            run(algorithm, gaussian, no_negative, latents, t)
    with pytest.raises(ParameterError, match="outside the schedule"):
        run(BSD(), gaussian, means, latents, torch.tensor([3, 1000]))
    with pytest.raises(ShapeError, match="t must be"):
        run(BSD(), gaussian, means, latents, torch.tensor([3]))
    with pytest.raises(ShapeError, match="positive embedding"):
        run(BSD(), gaussian, replace(means, positive=means.positive[0]), latents, t)
    with pytest.raises(ShapeError, match="latents"):
        run(BSD(), gaussian, means, latents[0], t)
    with pytest.raises(ModelError, match="UNet2DConditionModel"):
        Distiller.create(VSD(), gaussian, seeded())
