"""Every algorithm against its equation, on exact Gaussian noise predictors and on a tiny UNet."""

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
    SSD,
    VSD,
    VSDMGDA,
    FixedRatio,
    LoraSettings,
)
from placid_kedro.distillation.interface import Step
from placid_kedro.errors import ModelError, ParameterError, ShapeError

ALGORITHMS = [
    SDS(),
    CSD(),
    CSD(negative_weight=1.0),
    ISM(),
    SSD(),
    NFSD(),
    BSD(),
    BSD(preset="sds_weighted"),
    BSD(preset="official_3d"),
    BSD(preset="official_2d"),
    BSD(preset="auto"),
    FixedRatio(),
    VSD(),
    VSDMGDA(),
]
ANALYTIC = [algorithm for algorithm in ALGORITHMS if not isinstance(algorithm, VSD | VSDMGDA)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def run(algorithm, predictor, conditioning, latents, t, seed=0, progress=0.0):
    distiller = Distiller.create(algorithm, predictor, seeded(99))
    return distiller(latents, conditioning, t, seeded(seed), progress)


def exact_noise(network, x_t, t, mean):
    return network.schedule.to_epsilon(
        network(x_t, t, encoder_hidden_states=mean, return_dict=False)[0], x_t, t
    )


@pytest.fixture
def latents():
    return torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=seeded(7))


@pytest.fixture
def t():
    return torch.tensor([50, 600])


@pytest.fixture
def parts(gaussian, means, latents, t):
    """e_c, e_u, e_neg, e, a, s at the x_t that seed 0 leads to, each worked out here."""
    # The noise is drawn in float32, so that float64 latents see the same noise.
    e = torch.randn(latents.shape, generator=seeded(0)).double()
    levels = gaussian.schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1)
    a, s = levels.sqrt(), (1 - levels).sqrt()
    x_t = a * latents + s * e
    noises = [
        exact_noise(gaussian.network, x_t, t, mean)
        for mean in (means.positive, means.unconditional, means.negative)
    ]
    return *noises, e, a, s


def test_sds(gaussian, means, latents, t, parts):
    e_c, e_u, _, e, _, s = parts
    gradient = run(SDS(guidance_scale=7.5), gaussian, means, latents, t).gradient
    torch.testing.assert_close(gradient, s**2 * (e_u + 7.5 * (e_c - e_u) - e))


def test_csd_and_its_annealed_negative_term(gaussian, means, latents, t, parts):
    e_c, e_u, e_neg, _, _, s = parts
    plain = run(CSD(), gaussian, means, latents, t).gradient
    torch.testing.assert_close(plain, s**2 * (e_c - e_u))
    half = run(CSD(negative_weight=3.0), gaussian, means, latents, t, progress=0.5).gradient
    torch.testing.assert_close(half, s**2 * (e_c - e_u + 1.5 * (e_u - e_neg)))
    end = run(CSD(negative_weight=3.0), gaussian, means, latents, t, progress=1.0).gradient
    torch.testing.assert_close(end, plain)


def test_nfsd(gaussian, means, latents, t, parts):
    e_c, e_u, e_neg, _, _, s = parts
    gradient = run(NFSD(), gaussian, means, latents, t).gradient
    expected = s**2 * (e_u + 7.5 * (e_c - e_u))
    expected[1] -= (s**2 * e_neg)[1]  # the second sample is at t = 600
    torch.testing.assert_close(gradient, expected)


def test_ssd(gaussian, means, latents, t, parts):
    e_c, e_u, _, e, _, s = parts
    gradient = run(SSD(), gaussian, means, latents, t).gradient
    D = e_c - e_u
    torch.testing.assert_close(gradient[1], (s**2 * D)[1])
    projected = gradient[0] / s[0] ** 2
    assert (projected * e[0]).sum().abs() < 1e-12  # orthogonal to the added noise
    torch.testing.assert_close(projected.norm(), D[0].norm())
    # and it lies in the plane of e_c and e, on e_c's side
    basis = torch.stack([e_c[0].flatten(), e[0].flatten()], 1)
    coordinates = torch.linalg.lstsq(basis, projected.flatten()[:, None]).solution
    torch.testing.assert_close((basis @ coordinates).flatten(), projected.flatten())
    assert (projected * e_c[0]).sum() > 0


@pytest.mark.parametrize("lam", [None, 5.0])
def test_bsd_of_the_paper(gaussian, means, latents, t, parts, lam):
    e_c, e_u, _, _, a, s = parts
    guidance = run(BSD() if lam is None else BSD(lam=lam), gaussian, means, latents, t)
    weight = 25.0 if lam is None else lam
    cg, sg = weight * (e_c - e_u) / s, e_u / s
    # Eq. 20 by brute force: the nearest point to the origin on the segment between both.
    alphas = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    for i in range(2):
        quadratic = (sg[i] ** 2).sum(), (sg[i] * cg[i]).sum(), (cg[i] ** 2).sum()
        lengths = (1 - alphas) ** 2 * quadratic[0] + alphas**2 * quadratic[2]
        alpha = alphas[(lengths + 2 * alphas * (1 - alphas) * quadratic[1]).argmin()]
        expected = a[i] ** 2 * (alpha * cg[i] + (1 - alpha) * sg[i])
        torch.testing.assert_close(guidance.gradient[i], expected, rtol=1e-3, atol=1e-3)
        assert guidance.diagnostics.alpha[i].item() == pytest.approx(alpha.item(), abs=1e-4)


def test_bsd_with_the_weighting_of_sds_has_the_direction_of_the_paper(gaussian, means, latents, t, parts):
    *_, a, s = parts
    own = run(BSD(), gaussian, means, latents, t).gradient
    weighted = run(BSD(preset="sds_weighted"), gaussian, means, latents, t).gradient
    for i in range(2):
        torch.testing.assert_close(weighted[i] / s[i] ** 3, own[i] / a[i] ** 2)


def test_bsd_presets_of_the_authors(gaussian, means, latents, t, parts):
    """Each is alpha CG + (1 - alpha) SG at its own CG, SG and w, the shortest such vector."""
    e_c, e_u, e_neg, e, a, s = parts
    residual = e_u - e
    lengths = residual.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    cases = {
        "official_3d": (15 * (e_c - e_neg), e_neg, a),
        "official_2d": (e_c - e_u, 0.018 * e_u, a),
        "auto": (e_c - e_u, 1.25 * residual, lengths * s / 50),
    }
    for preset, (cg, sg, w) in cases.items():
        guidance = run(BSD(preset=preset), gaussian, means, latents, t)
        difference = (sg - cg).flatten(1)
        alpha = (difference * sg.flatten(1)).sum(1) / difference.square().sum(1)
        alpha = alpha.clamp(0, 1).reshape(-1, 1, 1, 1)
        torch.testing.assert_close(guidance.gradient, w * (alpha * cg + (1 - alpha) * sg))


def test_bsd_steps_oppose_neither_guidance_at_random(gaussian, means):
    latents = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=seeded(1))
    for seed in range(20):
        t = torch.randint(20, 980, (2,), generator=seeded(seed))
        e = torch.randn(latents.shape, generator=seeded(seed)).double()
        x_t = gaussian.schedule.add_noise(latents, e, t)
        e_c = exact_noise(gaussian.network, x_t, t, means.positive)
        e_u = exact_noise(gaussian.network, x_t, t, means.unconditional)
        gradient = run(BSD(), gaussian, means, latents, t, seed).gradient
        for guidance in (e_c - e_u, e_u):
            assert ((gradient * guidance).flatten(1).sum(1) >= -1e-9).all()


def test_fixed_ratio(gaussian, means, latents, t, parts):
    e_c, e_u, _, _, a, s = parts
    gradient = run(FixedRatio(ratio=3.0), gaussian, means, latents, t).gradient
    torch.testing.assert_close(gradient, a**2 / s * (3 * (e_c - e_u) + e_u))


def test_ism_inverts_along_the_exact_probability_flow(gaussian, means, latents):
    """For Gaussian data the flow is linear, so the fine-stepped x_s is known in closed form."""
    from placid_kedro.distillation.algorithms.ism import invert

    schedule, std = gaussian.schedule, gaussian.network.std
    s = torch.tensor([400, 900])
    step = Step(latents, gaussian, means, s, seeded())
    fine = ISM(inversion_stride=1, inversion_steps=2000)
    x_s, evaluations = invert(fine, step, s)
    mean = means.unconditional.reshape(latents.shape)

    def spread(at):
        return (schedule.a(at) ** 2 * std**2 + schedule.s(at) ** 2).sqrt()

    start = (latents - schedule.a(0) * mean) / spread(0)
    torch.testing.assert_close(x_s, schedule.a(s) * mean + spread(s) * start, rtol=0.02, atol=0.02)
    assert evaluations == (400 + 900) / 2


def test_ism_in_steps_written_out(gaussian, means, latents):
    """t = 500, interval 100: 0 -> 200 -> 400 -> 500, four evaluations of e_u and one of e_c."""
    schedule, network = gaussian.schedule, gaussian.network
    t = torch.tensor([500, 500])
    guidance = run(ISM(), gaussian, means, latents, t)
    x, e = latents, None
    for here, there in ((0, 200), (200, 400), (400, 500)):
        e = exact_noise(network, x, torch.full((2,), here), means.unconditional)
        x0 = (x - schedule.s(here) * e) / schedule.a(here)
        x = schedule.a(there) * x0 + schedule.s(there) * e
    e_u = exact_noise(network, x, t, means.unconditional)
    e_c = exact_noise(network, x, t, means.positive)
    w = schedule.s(t) / schedule.a(t)
    torch.testing.assert_close(guidance.gradient, w * (e_u + 7.5 * (e_c - e_u) - e))
    assert guidance.diagnostics.forwards == 5


def test_ism_interval_is_annealed_and_draws_no_noise(gaussian, means, latents):
    t = torch.tensor([500, 300])
    start = run(ISM(), gaussian, means, latents, t, seed=0)
    assert torch.equal(start.gradient, run(ISM(), gaussian, means, latents, t, seed=1).gradient)
    late = run(ISM(), gaussian, means, latents, t, progress=0.9)
    constant = run(ISM(interval_start=80), gaussian, means, latents, t)
    assert torch.equal(late.gradient, constant.gradient)
    assert not torch.equal(late.gradient, start.gradient)


def test_ism_copes_with_timesteps_below_its_interval(gaussian, means, latents):
    guidance = run(ISM(), gaussian, means, latents, torch.tensor([0, 40]))
    assert guidance.gradient.isfinite().all()
    assert guidance.diagnostics.forwards == 3


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


def test_diagnostics(gaussian, means, latents, t, parts):
    e_c, e_u, _, e, _, s = parts
    diagnostics = run(SDS(guidance_scale=9.0), gaussian, means, latents, t).diagnostics
    cg, sg = ((e_c - e_u) / s).flatten(1), (e_u / s).flatten(1)
    expected = {
        "norm_cg": cg.norm(dim=1),
        "norm_sg": sg.norm(dim=1),
        "cosine": (cg * sg).sum(1) / cg.norm(dim=1) / sg.norm(dim=1),
        "norm_residual": (e_u - e).flatten(1).norm(dim=1),
        "cfg_equivalent": torch.full((2,), 9.0),
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(diagnostics, name).double(), value.double(), rtol=1e-5, atol=1e-6)
    assert diagnostics.alpha.isnan().all()
    balanced = run(BSD(), gaussian, means, latents, t).diagnostics
    torch.testing.assert_close(balanced.cfg_equivalent, 25 * balanced.alpha / (1 - balanced.alpha))
    assert balanced.means()["forwards"] == 2 and 0 <= balanced.means()["obtuse"] <= 1


def test_vsd_and_its_balance_against_their_equations(unet_predictor, prompts):
    latents, t = torch.randn(3, 4, 8, 8, generator=seeded(1)), torch.tensor([30, 500, 950])
    e = torch.randn(latents.shape, generator=seeded(0))
    schedule = unet_predictor.schedule
    a, s = schedule.a(t), schedule.s(t)
    x_t = a * latents + s * e
    e_c, e_u = unet_predictor(x_t, t, [prompts.positive, prompts.unconditional], {})
    fast = LoraSettings(learning_rate=0.02, camera_dropout=0.0)
    for algorithm in (VSD(lora=fast), VSDMGDA(lora=fast)):
        distiller = Distiller.create(algorithm, unet_predictor, seeded(99))
        trainer = Step(latents, unet_predictor, prompts, t, seeded(5))
        for _ in range(5):
            distiller.lora.train_step(trainer)
        with torch.no_grad():
            cameras = {"class_labels": prompts.camera}
            e_lora = distiller.lora.predictor(x_t, t, [prompts.positive], cameras)[0]
        assert not torch.allclose(e_lora, e_c, rtol=0.05)
        guidance = distiller(latents, prompts, t, seeded(0))
        gradient, diagnostics = guidance.gradient, guidance.diagnostics
        torch.testing.assert_close(diagnostics.norm_residual, (e_u - e).flatten(1).norm(dim=1))
        assert diagnostics.forwards == 4  # both branches, the copy's prediction and its own step
        if isinstance(algorithm, VSD):
            torch.testing.assert_close(gradient, s**2 * (e_u + 7.5 * (e_c - e_u) - e_lora))
        else:
            cg, sg = 25 * (e_c - e_u) / s, (e_u - e_lora) / s
            difference = (sg - cg).double().flatten(1)
            alpha = (difference * sg.double().flatten(1)).sum(1) / difference.square().sum(1)
            alpha = alpha.clamp(0, 1).float().reshape(-1, 1, 1, 1)
            expected = a**2 * (alpha * cg + (1 - alpha) * sg)
            torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
            share = alpha.flatten()
            torch.testing.assert_close(diagnostics.alpha, share, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(
                diagnostics.cfg_equivalent, 25 * share / (1 - share), rtol=1e-2, atol=1e-3
            )


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
