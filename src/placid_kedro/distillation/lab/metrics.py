"""What the laboratory measures on images, and the table of algorithms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from skimage.color import rgb2hsv, rgb2lab
from torch import Tensor

from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.errors import ShapeError
from placid_kedro.evaluation.statistics import Interval, bootstrap_mean

IMAGE_METRICS = ("saturation", "chroma", "detail")


def image_metrics(images: Tensor) -> dict[str, np.ndarray]:
    """Per image of [N,3,H,W], float32 in [0,1]: float64 [N] for each of IMAGE_METRICS.

    saturation: mean S of HSV, in [0, 1].
    chroma: mean sqrt(a*^2 + b*^2) of CIELAB (D65), 0 to about 134.
    detail: variance of the luminance that lies above a quarter of a cycle per pixel, times 1e4.

    Raises:
        ShapeError: other shapes.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ShapeError(f"images must be [N,3,H,W], got {list(images.shape)}.")
    rgb = images.detach().cpu().double().clamp(0, 1).permute(0, 2, 3, 1).numpy()
    lab = rgb2lab(rgb)
    return {
        "saturation": rgb2hsv(rgb)[..., 1].mean(axis=(1, 2)),
        "chroma": np.hypot(lab[..., 1], lab[..., 2]).mean(axis=(1, 2)),
        "detail": 1e4 * _high_frequency_variance(rgb @ np.array([0.2126, 0.7152, 0.0722])),
    }


def _high_frequency_variance(luminance: np.ndarray) -> np.ndarray:
    """Parseval: the part of the variance of each of [N,H,W] above 1/4 cycle per pixel, in any direction."""
    height, width = luminance.shape[1:]
    power = np.abs(np.fft.fft2(luminance) / (height * width)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    return power[:, radius > 0.25].sum(axis=1)


def mean_interval(values: np.ndarray, generator: np.random.Generator) -> Interval:
    """Mean of values [N] with its 95% bootstrap interval; one value, or one that is no number, has NaN bounds."""
    if len(values) < 2 or not np.isfinite(values).all():
        return Interval(float(np.mean(values)), math.nan, math.nan)
    return bootstrap_mean(values, generator)


def comparison_table(
    runs: Mapping[str, LabRun],
    images: Mapping[str, Mapping[int, Tensor]],
    ground_truth: Tensor,
    generator: np.random.Generator,
    scores: Mapping[str, Mapping[int, np.ndarray]] | None = None,
    ground_truth_scores: np.ndarray | None = None,
    ground_truth_prompts: np.ndarray | None = None,
    prompts: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row a run and snapshot, and one for the samples of ordinary diffusion, which are the ground truth.

    runs: label -> run. images: label -> steps -> the snapshot's images [B,3,H,W] in [0,1].
    ground_truth: [N,3,H,W]. scores: label -> steps -> prompt scores [B], where there is a scorer.
    Columns: algorithm, steps, forwards, seconds, skipped; and for saturation, chroma, detail, obtuse (share
    of steps) and score: NAME, NAME_low, NAME_high; saturation, chroma and detail also as NAME_ratio to the
    ground truth's mean. Given the prompts' indices (of the ground truth [N], of the samples [B]), also as
    NAME_excess with its interval: a sample's value less the mean of the ground truth of the same prompt,
    which leaves out how much prompts differ.
    """
    truth = image_metrics(ground_truth)
    measured = dict(truth)
    if ground_truth_scores is not None:
        measured["score"] = ground_truth_scores
    rows = [{"algorithm": "diffusion", **_columns(measured, truth, generator)}]
    for label, run in runs.items():
        for steps, pictures in images[label].items():
            measured = image_metrics(pictures)
            if ground_truth_prompts is not None and prompts is not None:
                measured |= _excesses(measured, truth, ground_truth_prompts, prompts)
            measured["obtuse"] = run.obtuse_share(steps).double().numpy()
            if scores is not None:
                measured["score"] = scores[label][steps]
            cost = {
                "steps": steps,
                "forwards": float(run.forwards[steps - 1]),
                "seconds": float(run.seconds[steps - 1]),
                "skipped": run.skipped,
            }
            rows.append({"algorithm": label, **cost, **_columns(measured, truth, generator)})
    return pd.DataFrame(rows)


def _excesses(
    measured: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
    truth_prompts: np.ndarray,
    prompts: np.ndarray,
) -> dict[str, np.ndarray]:
    return {
        f"{name}_excess": values - np.array([truth[name][truth_prompts == p].mean() for p in prompts])
        for name, values in measured.items()
    }


def _columns(
    measured: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], generator: np.random.Generator
) -> dict[str, float]:
    columns: dict[str, float] = {}
    for name, values in measured.items():
        interval = mean_interval(values, generator)
        columns |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        if name in truth:
            columns[f"{name}_ratio"] = interval.mean / max(float(truth[name].mean()), 1e-12)
    return columns


def norms_by_timestep(run: LabRun, bins: int = 20) -> pd.DataFrame:
    """Mean norms of delta_SG, delta_CG and e_u - e in equal bins of t (Fig. 9), and the mean t."""
    return _binned(run, run.history["t"].flatten(), "t", bins)


def norms_by_step(run: LabRun, bins: int = 20) -> pd.DataFrame:
    """Mean norms of delta_SG, delta_CG and e_u - e in equal spans of steps (Fig. 9), and the mean step."""
    steps, batch = run.history["t"].shape
    return _binned(run, torch.arange(steps).repeat_interleave(batch), "step", bins)


def _binned(run: LabRun, position: Tensor, name: str, bins: int) -> pd.DataFrame:
    frame = pd.DataFrame({name: position.double().numpy()})
    for norm in ("norm_sg", "norm_cg", "norm_residual"):
        frame[norm] = run.history[norm].flatten().double().numpy()
    return frame.groupby(pd.cut(frame[name], bins), observed=True).mean().reset_index(drop=True)
