"""The bootstrap against the normal approximation and against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.evaluation.statistics import bootstrap_mean


def test_a_large_sample_has_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 4000)
    interval = bootstrap_mean(values, np.random.default_rng(1))
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_small_skewed_sample_has_the_interval_that_scipy_gives() -> None:
    values = np.random.default_rng(2).exponential(1.0, 12)
    ours = bootstrap_mean(values, np.random.default_rng(3), confidence=0.9)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.9,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(4),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_pairs_tell_what_unpaired_values_hide() -> None:
    level = np.linspace(-10.0, 10.0, 40)
    gain = np.random.default_rng(6).normal(0.5, 0.1, 40)
    assert bootstrap_mean((level + gain) - level, np.random.default_rng(7)).excludes_zero
    assert not bootstrap_mean(level, np.random.default_rng(7)).excludes_zero


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [[1.0, 2.0]]])
def test_too_few_or_broken_values_are_refused(values: list) -> None:
    with pytest.raises(DataError, match="at least two finite values"):
        bootstrap_mean(values, np.random.default_rng(0))


def test_a_confidence_out_of_range_is_refused() -> None:
    with pytest.raises(ParameterError, match="confidence in"):
        bootstrap_mean([1.0, 2.0], np.random.default_rng(0), confidence=95)
