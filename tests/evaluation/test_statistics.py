"""The bootstrap against the normal approximation and against what two values must give."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.evaluation.statistics import bootstrap_auc, bootstrap_mean


def test_a_large_sample_has_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 4000)
    interval = bootstrap_mean(values, np.random.default_rng(1))
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_two_values_have_the_quantiles_of_their_four_resamples() -> None:
    # The mean of a resample of {0, 1} is 0, 1/2 or 1 with the probabilities 1/4, 1/2 and 1/4.
    wide = bootstrap_mean([0.0, 1.0], np.random.default_rng(3), confidence=0.9)
    narrow = bootstrap_mean([0.0, 1.0], np.random.default_rng(3), confidence=0.4)
    assert (wide.low, wide.mean, wide.high) == (0.0, 0.5, 1.0)
    assert (narrow.low, narrow.mean, narrow.high) == (0.5, 0.5, 0.5)


def test_pairs_tell_what_unpaired_values_hide() -> None:
    level = np.linspace(-10.0, 10.0, 40)
    gain = np.random.default_rng(6).normal(0.5, 0.1, 40)
    assert bootstrap_mean((level + gain) - level, np.random.default_rng(7)).low > 0
    unpaired = bootstrap_mean(level, np.random.default_rng(7))
    assert unpaired.low < 0 < unpaired.high


def test_the_area_is_scikit_learns_and_its_interval_that_of_many_drawn_samples() -> None:
    draw = np.random.default_rng(0)
    own, others = draw.normal(1.0, 1.0, 60).round(1), draw.normal(0.0, 1.0, (60, 5)).round(1)
    labels = np.concatenate([np.ones(60), np.zeros(300)])
    interval = bootstrap_auc(own, others, np.random.default_rng(1))
    assert interval.mean == pytest.approx(roc_auc_score(labels, np.concatenate([own, others.ravel()])))
    # Two normal distributions one deviation apart: the area is Phi(1 / sqrt 2), and samples scatter round it.
    areas = [
        roc_auc_score(labels, np.concatenate([draw.normal(1, 1, 60), draw.normal(0, 1, 300)]))
        for _ in range(300)
    ]
    assert np.mean(areas) == pytest.approx(norm.cdf(2**-0.5), abs=0.01)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.std(areas), rel=0.35)


def test_areas_that_are_certain() -> None:
    draw = np.random.default_rng(0)
    perfect = bootstrap_auc([2.0, 3.0], [[0.0, 1.0], [1.0, 1.5]], draw)
    assert (perfect.low, perfect.mean, perfect.high) == (1.0, 1.0, 1.0)
    ties = bootstrap_auc([1.0, 1.0], [[1.0], [1.0]], draw)
    assert (ties.low, ties.mean, ties.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("own", "others"),
    [([1.0], [[0.0]]), ([1.0, 2.0], [[], []]), ([1.0, 2.0], [[0.0]]), ([1.0, np.nan], [[0.0], [0.0]])],
)
def test_scores_without_an_area_are_refused(own: list, others: list) -> None:
    with pytest.raises(DataError, match="ROC"):
        bootstrap_auc(own, others, np.random.default_rng(0))


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [[1.0, 2.0]]])
def test_too_few_or_broken_values_are_refused(values: list) -> None:
    with pytest.raises(DataError, match="at least two finite values"):
        bootstrap_mean(values, np.random.default_rng(0))


def test_a_confidence_out_of_range_is_refused() -> None:
    with pytest.raises(ParameterError, match="confidence in"):
        bootstrap_mean([1.0, 2.0], np.random.default_rng(0), confidence=95)
