"""How sure a mean over few objects is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap

from placid_kedro.errors import DataError, ParameterError


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds between which it lies with the confidence that was asked for."""

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: ArrayLike, generator: np.random.Generator, confidence: float = 0.95, resamples: int = 10_000
) -> Interval:
    """The mean and its percentile bootstrap interval (Efron 1979).

    Two methods that were tried on the same objects are compared by their differences, one an object.

    Args:
        values: [N] one an object.
        generator: draws the resamples.
        confidence: in (0, 1).
        resamples: how many.

    Raises:
        DataError: for fewer than two values, or one that is no number.
        ParameterError: for a confidence or a number of resamples out of range.
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        raise DataError(
            f"A bootstrap needs a row of at least two finite values, got the shape {list(sample.shape)}."
        )
    if not 0 < confidence < 1 or resamples < 1:
        raise ParameterError(
            f"A bootstrap needs a confidence in (0, 1) and at least one resample, got {confidence}, {resamples}."
        )
    result = bootstrap(
        (sample,),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=generator,
        vectorized=True,
    )
    return Interval(
        float(sample.mean()), float(result.confidence_interval.low), float(result.confidence_interval.high)
    )
