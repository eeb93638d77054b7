"""The bootstrap against the normal approximation and against what two values must give."""

import numpy as np
import pytest

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.evaluation.statistics import bootstrap_mean


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


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [[1.0, 2.0]]])
def test_too_few_or_broken_values_are_refused(values: list) -> None:
    with pytest.raises(DataError, match="at least two finite values"):
        bootstrap_mean(values, np.random.default_rng(0))


def test_a_confidence_out_of_range_is_refused() -> None:
    with pytest.raises(ParameterError, match="confidence in"):
        bootstrap_mean([1.0, 2.0], np.random.default_rng(0), confidence=95)
