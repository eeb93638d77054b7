"""What every distillation algorithm takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from placid_kedro.device import to_device
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.distillation.predictor import NoisePredictor
from placid_kedro.distillation.views import perp_neg
from placid_kedro.errors import ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Text embeddings of a batch; each is [B,L,D] (or [1,L,D], shared by the batch).

    Attributes:
        positive, unconditional: of the prompt and of the empty prompt.
        negative: of a negative prompt, which NFSD, CSD's negative term and BSD's official_3d need.
        perp_negatives: [B, N, L, D] Perp-Neg's negatives; with them e_c stands for e_u + D + the weighted perpendicular
            parts, in every algorithm.
        perp_weights: [B, N] of these, mostly <= 0 (see `views`).
        camera: [B, 16] what VSD's LoRA copy is told about the view, a flattened 4 x 4 matrix.
        extra: further keyword arguments of the network, [B, ...].

    Raises:
        ParameterError: one of the two Perp-Neg parts is missing.
    """

    positive: Tensor
    unconditional: Tensor
    negative: Tensor | None = None
    perp_negatives: Tensor | None = None
    perp_weights: Tensor | None = None
    camera: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.perp_negatives is None) != (self.perp_weights is None):
            raise ParameterError("Perp-Neg needs both perp_negatives and perp_weights.")

    def required_negative(self, algorithm: str) -> Tensor:
        """The negative embedding; ParameterError naming the algorithm when there is none."""
        if self.negative is None:
            raise ParameterError(f"{algorithm} needs a negative prompt, but the conditioning has none.")
        return self.negative


@dataclass(frozen=True, eq=False)
class Step:
    """One step of distillation: latents [B,C,h,w] at timesteps t [B], and all that is known about them.

    Attributes:
        latents: [B, C, h, w].
        predictor: the network's noise predictions.
        conditioning: its text.
        t: [B] timesteps.
        generator: draws the noise.
        progress: share of the run that is done, in [0, 1], for what is annealed.

    Raises:
        ShapeError: shapes do not belong together.
        ParameterError: a t outside the schedule.
    """

    latents: Tensor
    predictor: NoisePredictor
    conditioning: Conditioning
    t: Tensor
    generator: torch.Generator
    progress: float = 0.0

    def __post_init__(self) -> None:
        if self.latents.ndim != 4:
            raise ShapeError(f"latents must be [B,C,h,w], got {list(self.latents.shape)}.")
        if self.t.shape != self.latents.shape[:1]:
            raise ShapeError(
                f"t must be [{len(self.latents)}] as the latents' batch, got {list(self.t.shape)}."
            )
        for name in ("positive", "unconditional", "negative"):
            embedding = getattr(self.conditioning, name)
            if embedding is not None and (
                embedding.ndim != 3 or len(embedding) not in (1, len(self.latents))
            ):
                raise ShapeError(
                    f"the {name} embedding must be [{len(self.latents)},L,D], got {list(embedding.shape)}."
                )
        self.schedule.alpha_bar(self.t)

    @property
    def schedule(self) -> NoiseSchedule:
        """The predictor's noise levels."""
        return self.predictor.schedule

    def noised(self) -> tuple[Tensor, Tensor]:
        """x_t = a_t x + s_t e and e, both [B,C,h,w]."""
        e = noise_like(self.latents, self.generator)
        return self.schedule.add_noise(self.latents.detach(), e, self.t), e

    def unconditional_noise(self, x_t: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        """e_u(x_t, t) alone for the samples `rows` (indices [R] into the batch); x_t [R,C,h,w], t [R]."""
        embedding = expand(self.conditioning.unconditional, len(self.latents))[rows]
        extra = {name: value[rows] for name, value in self.conditioning.extra.items()}
        return self.predictor(x_t, t, [embedding], extra)[0]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Noise predictions at one x_t, each [B,C,h,w]; `forwards` network evaluations a sample were made."""

    e_c: Tensor
    e_u: Tensor
    others: tuple[Tensor, ...]
    forwards: int

    @property
    def D(self) -> Tensor:
        """e_c - e_u."""
        return self.e_c - self.e_u


def predict(step: Step, x_t: Tensor, *others: Tensor) -> Predictions:
    """e_c, e_u and the predictions for `others` (embeddings [B,L,D]) at x_t, in one batched forward."""
    conditioning, batch = step.conditioning, len(x_t)
    negatives = conditioning.perp_negatives
    perp = () if negatives is None else negatives.expand(batch, -1, -1, -1).unbind(1)
    embeddings = [conditioning.positive, conditioning.unconditional, *others]
    embeddings = [expand(embedding, batch) for embedding in embeddings] + list(perp)
    e_c, e_u, *rest = step.predictor(x_t, step.t, embeddings, conditioning.extra)
    if conditioning.perp_weights is not None:
        e_negatives = torch.stack(rest[len(others) :], dim=1)
        e_c = e_u + perp_neg(e_c - e_u, e_negatives - e_u[:, None], conditioning.perp_weights)
    return Predictions(e_c, e_u, tuple(rest[: len(others)]), len(embeddings))


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """What a step did, per sample: float32 [B]; NaN where the algorithm has no such number.

    Attributes:
        t: the timesteps.
        norm_cg, norm_sg, cosine: of delta_CG = D / s_t and delta_SG = e_u / s_t (Sec. 4.3).
        norm_residual: ||e_u - e|| (Fig. 9).
        alpha: of Eq. 23.
        cfg_equivalent: weight of D over that of e_u.
        forwards: network evaluations a sample, a LoRA training step counted as one more.
    """

    t: Tensor
    norm_cg: Tensor
    norm_sg: Tensor
    cosine: Tensor
    norm_residual: Tensor
    alpha: Tensor
    cfg_equivalent: Tensor
    forwards: float

    def means(self) -> dict[str, Tensor]:
        """The mean of each number over the batch, and the share of samples whose angle is obtuse, on the device."""
        names = ("norm_cg", "norm_sg", "cosine", "norm_residual", "alpha", "cfg_equivalent")
        means = {name: getattr(self, name).mean() for name in names}
        forwards = torch.full_like(self.cosine[0], self.forwards)
        return {**means, "obtuse": (self.cosine < 0).float().mean(), "forwards": forwards}


@dataclass(frozen=True, eq=False)
class Guidance:
    """gradient [B,C,h,w]: what descent subtracts from the latents (a multiple of it); and the diagnostics."""

    gradient: Tensor
    diagnostics: Diagnostics


def diagnose(
    step: Step,
    predictions: Predictions,
    cfg_equivalent: float | Tensor,
    *,
    e: Tensor | None = None,
    alpha: Tensor | None = None,
    further_forwards: float = 0.0,
) -> Diagnostics:
    """Diagnostics of one step from its predictions at x_t; e is the added noise, where there is one."""
    missing = torch.full((len(step.t),), torch.nan, device=step.latents.device)
    s = step.schedule.s(step.t).clamp_min(2**-12).flatten()
    D, e_u = predictions.D.float().flatten(1), predictions.e_u.float().flatten(1)
    cfg = (torch.zeros_like(s) + cfg_equivalent).float()
    return Diagnostics(
        t=step.t,
        norm_cg=D.norm(dim=1) / s,
        norm_sg=e_u.norm(dim=1) / s,
        cosine=torch.cosine_similarity(D, e_u, dim=1),
        norm_residual=missing if e is None else norm(predictions.e_u - e).flatten(),
        alpha=missing if alpha is None else alpha.float(),
        cfg_equivalent=cfg,
        forwards=predictions.forwards + further_forwards,
    )


def norm(x: Tensor) -> Tensor:
    """Euclidean norm of each sample of x [B,C,h,w] as [B,1,1,1], in float32 (float64 kept)."""
    wide = x if x.dtype == torch.float64 else x.float()
    return torch.linalg.vector_norm(wide, dim=(1, 2, 3), keepdim=True)


def expand(embedding: Tensor, batch: int) -> Tensor:
    """An embedding [1,L,D] or [B,L,D] as [B,L,D]."""
    return embedding.expand(batch, -1, -1)


def noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of x's shape, dtype and device, drawn by the generator on its own device."""
    drawn = torch.randn(x.shape, generator=generator, device=generator.device)
    return to_device(drawn, x.device).to(x.dtype)


def latent_loss(latents: Tensor, gradient: Tensor, reduction: Literal["sum", "mean"] = "sum") -> Tensor:
    """0.5 sum((x - sg(x - g))^2): a scalar whose gradient with respect to the latents x is g.

    With "mean" it is g / x.numel(), as in the 2D experiments. latents and gradient share a shape.
    """
    target = (latents - gradient).detach()
    return 0.5 * torch.nn.functional.mse_loss(latents, target, reduction=reduction)
