"""Every algorithm against its equation, on exact Gaussian noise predictors and on a tiny UNet."""

import pytest
import torch

from placid_kedro.distillation import Distiller
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
from tests.distillation.algorithms_case import exact_noise, run, seeded


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
