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


def bootstrap_auc(
    own: ArrayLike,
    others: ArrayLike,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """How well a score tells an object's own name from others: the area under the ROC curve, with its interval.

    The area is the share of pairs in which the own name has the higher score, ties counted by half (Mann and Whitney
    1947), over all pairs of any object's own name and any object's other name. The interval is a percentile bootstrap
    over the objects: an object is drawn with its own score and with those of its other names.

    Args:
        own: [N] score of each object for its own name.
        others: [N, M] scores of each object for other names.
        generator: draws the resamples.
        confidence: in (0, 1).
        resamples: how many.

    Raises:
        DataError: for fewer than two objects, no other name, or a score that is no number.
        ParameterError: for a confidence or a number of resamples out of range.
    """
    positives, negatives = np.asarray(own, np.float64), np.asarray(others, np.float64)
    if positives.ndim != 1 or negatives.ndim != 2 or len(positives) != len(negatives) or not negatives.size:
        raise DataError(
            f"An area under the ROC curve needs own scores [N] and other scores [N, M], got "
            f"{list(positives.shape)} and {list(negatives.shape)}."
        )
    if len(positives) < 2 or not (np.isfinite(positives).all() and np.isfinite(negatives).all()):
        raise DataError("An area under the ROC curve needs at least two objects and finite scores.")
    _check_bootstrap(confidence, resamples)
    difference = positives[:, None, None] - negatives[None]
    # [N, N]: how often one object's own name is above another's other names.
    above = ((difference > 0) + 0.5 * (difference == 0)).mean(axis=2)
    count = len(positives)
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=resamples) / count
    areas = np.einsum("ri,ij,rj->r", drawn, above, drawn, optimize=True)
    low, high = np.quantile(areas, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(above.mean()), float(low), float(high))


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
    _check_bootstrap(confidence, resamples)
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


def _check_bootstrap(confidence: float, resamples: int) -> None:
    if not 0 < confidence < 1 or resamples < 1:
        raise ParameterError(
            f"A bootstrap needs a confidence in (0, 1) and at least one resample, got {confidence}, {resamples}."
        )
