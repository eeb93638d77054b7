"""Noise-free regression targets: the exact posterior mean over a finite set of images."""

from __future__ import annotations

from torch import Tensor


def posterior_mean(x_t: Tensor, a_t: Tensor, s_t: Tensor, candidates: Tensor, log_prior: Tensor) -> Tensor:
    """E[x_0 | x_t] when x_0 is one of K known latents and x_t = a_t x_0 + s_t e.

    The ordinary diffusion loss regresses on the x_0 that was drawn; its minimiser is this mean. Regressing on the
    mean itself has the same minimiser and none of the variance, which at high noise is nearly all of the loss.

    Args:
        x_t: [B, ...] noisy latents.
        a_t: [B] signal level, `sqrt(alphas_cumprod[t])`.
        s_t: [B] noise level, `sqrt(1 - alphas_cumprod[t])`, positive.
        candidates: [K, ...] the latents that the condition admits, or [B, K, ...] those that each condition admits.
        log_prior: [K] or [B, K] logarithm of their probabilities (need not be normalised; -inf excludes one).

    Returns:
        [B, ...] the mean.
    """
    shared = candidates.dim() == x_t.dim()
    noisy, known = x_t.flatten(1), candidates.flatten(1 if shared else 2)
    # |x_t - a x|^2 without its |x_t|^2, which is the same for every candidate.
    cross = noisy @ known.T if shared else (known @ noisy[..., None])[..., 0]
    distance = a_t[:, None].square() * known.square().sum(dim=-1) - 2 * a_t[:, None] * cross
    weights = (log_prior - distance / (2 * s_t[:, None].square())).softmax(dim=1)
    mean = weights @ known if shared else (weights[:, None] @ known)[:, 0]
    return mean.reshape(x_t.shape)
