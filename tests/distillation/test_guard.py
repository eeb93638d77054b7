import pytest
import torch

from placid_kedro.distillation import GuidanceGuard
from placid_kedro.errors import GuidanceError


def gradient(*bad):
    result = torch.ones(3, 2, 4, 4)
    for row, value in bad:
        if value == 0:
            result[row] = 0
        else:
            result[row, 0, 1, 1] = value
    return result


def test_passes_good_guidance_through():
    guard = GuidanceGuard()
    assert torch.equal(guard.filtered(gradient()), gradient())
    assert (guard.skipped, guard.in_a_row) == (0, 0)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_skips_and_counts_the_bad_sample_only(value):
    guard = GuidanceGuard()
    filtered = guard.filtered(gradient((1, value)))
    assert (filtered[1] == 0).all() and (filtered[[0, 2]] == 1).all()
    assert (guard.skipped, guard.in_a_row) == (1, 1)
    assert guard.usable(gradient((0, value), (2, value))).tolist() == [False, True, False]
    assert (guard.skipped, guard.in_a_row) == (3, 2)


@pytest.mark.parametrize(("value", "word"), [(0.0, "zero"), (float("nan"), "not finite")])
def test_stops_when_it_keeps_happening(value, word):
    guard = GuidanceGuard(patience=3)
    guard.usable(gradient((1, value)))
    guard.usable(gradient((1, value)))
    with pytest.raises(GuidanceError, match=f"sample 1 is {word}.*3"):
        guard.usable(gradient((1, value)))


def test_a_good_step_starts_the_count_again():
    guard = GuidanceGuard(patience=2)
    for _ in range(5):
        guard.usable(gradient((0, 0.0)))
        guard.usable(gradient())
    assert guard.skipped == 5


def test_a_share_of_the_whole_run_stops_it():
    """At most 2 of 5 x 3 samples: the third that is no number, wherever it comes, is too many; zeros do not count."""
    guard = GuidanceGuard(steps=5, share=0.15)
    guard.usable(gradient((1, float("nan")), (0, 0.0), (2, 0.0)))
    guard.usable(gradient())
    guard.usable(gradient((2, float("nan"))))
    guard.usable(gradient())
    with pytest.raises(GuidanceError, match=r"sample 0 is not finite.*3 samples.*15% of the run's 15"):
        guard.usable(gradient((0, float("inf"))))
    assert guard.metrics() == {"skipped_samples": 5.0, "skipped_steps": 3.0}


def test_a_run_of_one_step_may_not_skip_it():
    with pytest.raises(GuidanceError):
        GuidanceGuard(steps=1).usable(gradient((0, float("nan"))))
