"""The learning rate's schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.errors import ParameterError
from placid_kedro.training import LearningRateSchedule, TrainingSettings


def test_rise_plateau_and_fall():
    schedule = LearningRateSchedule(warmup_steps=4, decay_share=0.5, final_factor=0.1)
    factors = [schedule.factor(step, 20) for step in range(20)]
    assert factors[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert factors[4:11] == [1.0] * 7
    assert factors[10:] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


@given(st.integers(0, 50), st.floats(0, 1), st.floats(0.01, 1), st.integers(1, 200), st.data())
def test_the_factor_is_positive_and_at_most_one(warmup, share, final, steps, data):
    schedule = LearningRateSchedule(warmup, share, final)
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < schedule.factor(step, steps) <= 1


def test_only_a_fall_at_the_end_ties_a_checkpoint_to_the_number_of_steps():
    plain = TrainingSettings(steps=10), TrainingSettings(steps=20)
    assert plain[0].identity == plain[1].identity
    falling = LearningRateSchedule(decay_share=0.2)
    tied = TrainingSettings(steps=10, schedule=falling), TrainingSettings(steps=20, schedule=falling)
    assert tied[0].identity != tied[1].identity


@pytest.mark.parametrize("wrong", [{"warmup_steps": -1}, {"decay_share": 1.5}, {"final_factor": -0.1}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        LearningRateSchedule(**wrong)
