"""The posterior mean against a brute force in float64, straight from Bayes' rule."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placid_kedro.embedded.training.posterior import posterior_mean


def brute_force(x_t, a_t, s_t, candidates, log_prior):
    means = []
    for noisy, a, s, prior in zip(x_t.double(), a_t.double(), s_t.double(), log_prior.double(), strict=True):
        log_joint = []
        for known, log_p in zip(candidates.double(), prior, strict=True):
            density = torch.distributions.Normal(a * known, s).log_prob(noisy).sum()
            log_joint.append(density + log_p)
        weights = torch.stack(log_joint).softmax(dim=0)
        means.append((weights.reshape(-1, 1, 1) * candidates.double()).sum(dim=0))
    return torch.stack(means)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.03, 0.999))
def test_it_is_bayes_rule(seed, level):
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.randn(5, 2, 3, generator=generator)
    log_prior = torch.randn(4, 5, generator=generator)
    s_t = torch.full((4,), level)
    a_t = (1 - s_t.square()).sqrt()
    drawn = torch.randint(5, (4,), generator=generator)
    x_t = a_t[:, None, None] * candidates[drawn] + level * torch.randn(4, 2, 3, generator=generator)
    expected = brute_force(x_t, a_t, s_t, candidates, log_prior)
    result = posterior_mean(x_t, a_t, s_t, candidates, log_prior)
    torch.testing.assert_close(result.double(), expected, rtol=2e-3, atol=2e-3)


def test_pure_noise_gives_the_priors_mean_and_no_noise_the_image_itself():
    candidates = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    prior = torch.tensor([0.5, 0.2, 0.3])
    x_t = torch.randn(1, 4, generator=torch.Generator().manual_seed(1))
    mean = posterior_mean(x_t, torch.zeros(1), torch.ones(1), candidates, prior.log())
    torch.testing.assert_close(mean[0], prior @ candidates)
    sharp = posterior_mean(candidates[1:2], torch.ones(1), torch.full((1,), 1e-2), candidates, prior.log())
    torch.testing.assert_close(sharp[0], candidates[1])


def test_an_excluded_candidate_has_no_part():
    candidates = torch.tensor([[0.0], [100.0]])
    log_prior = torch.tensor([0.0, -math.inf])
    mean = posterior_mean(torch.tensor([[90.0]]), torch.ones(1), torch.full((1,), 0.5), candidates, log_prior)
    assert mean.item() == 0.0


def test_it_is_what_the_ordinary_loss_is_minimised_by():
    """The mean of x_0 over many draws with one and the same x_t (in one dimension, by binning)."""
    generator = torch.Generator().manual_seed(5)
    candidates, prior = torch.tensor([[-1.0], [0.2], [1.5]]), torch.tensor([0.2, 0.5, 0.3])
    a, s, count = 0.8, 0.6, 400_000
    x_0 = candidates[torch.multinomial(prior, count, replacement=True, generator=generator)]
    x_t = a * x_0 + s * torch.randn(count, 1, generator=generator)
    for centre in (-0.5, 0.3, 1.0):
        near = (x_t - centre).abs() < 0.02
        mean = posterior_mean(
            torch.tensor([[centre]]), torch.tensor([a]), torch.tensor([s]), candidates, prior.log()
        )
        deviation = float(x_0[near].std()) / math.sqrt(int(near.sum()))
        assert abs(float(x_0[near].mean()) - mean.item()) < 4 * deviation + 2e-3
