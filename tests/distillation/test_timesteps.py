import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.distillation import TimestepSchedule, Weighting
from placid_kedro.distillation.timesteps import Annealed, DreamTime, LinearDescending, Uniform


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_uniform_covers_its_half_open_range(schedule, generator):
    t = Uniform()(0.5, 100_000, schedule, generator)
    assert t.dtype == torch.int64 and t.shape == (100_000,)
    assert (t.min(), t.max()) == (20, 979)
    assert t.double().mean().item() == pytest.approx(499.5, abs=4)


@pytest.mark.parametrize(("progress", "upper"), [(0.0, 980), (0.15, 740), (0.3, 500), (1.0, 500)])
def test_annealed_upper_end(schedule, generator, progress, upper):
    t = Annealed()(progress, 50_000, schedule, generator)
    assert (t.min(), t.max()) == (20, upper - 1)


def test_linear_descending_is_the_line(schedule, generator):
    visited = [LinearDescending()(p, 3, schedule, generator).tolist() for p in (0.0, 0.25, 0.5, 1.0)]
    assert visited == [[979] * 3, [739] * 3, [500] * 3, [20] * 3]


def test_dreamtime_visits_timesteps_as_often_as_its_weight_says(schedule, generator):
    """The histogram over a long run is the weight function itself, worked out here."""
    value = DreamTime()
    visited = [int(value(i / 20_000, 1, schedule, generator)) for i in range(0, 20_000, 4)]
    assert visited == sorted(visited, reverse=True)
    t = np.arange(20, 980)
    weight = np.where(t > 800, np.exp(-((t - 800) ** 2) / (2 * 300**2)), 1.0)
    weight = np.where(t < 500, np.exp(-((t - 500) ** 2) / (2 * 100**2)), weight)
    expected = np.add.reduceat(weight / weight.sum(), range(0, 960, 60))
    share = np.histogram(visited, bins=range(20, 981, 60))[0] / len(visited)
    np.testing.assert_allclose(share, expected, atol=0.003)


@pytest.mark.parametrize("value", [Uniform(), Annealed(), LinearDescending(), DreamTime()])
def test_short_schedules_stay_inside(value, generator):
    schedule = NoiseSchedule(torch.linspace(0.99, 0.01, 7))
    for progress in (0.0, 0.3, 1.0):
        t = value(progress, 50, schedule, generator)
        assert t.min() >= 0 and t.max() < 7


def test_chosen_by_kind_and_checked():
    adapter = TypeAdapter(TimestepSchedule)
    assert adapter.validate_python({"kind": "dreamtime", "m1": 700}) == DreamTime(m1=700)
    for wrong in (
        {"kind": "uniform", "low": 0.5, "high": 0.5},
        {"kind": "annealed", "high_end": 0.01},
        {"kind": "dreamtime", "m1": 300},
        {"kind": "uniform", "hihg": 0.5},
        {"kind": "uniform", "high": 1.5},
        {"kind": "cosine"},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_weightings_are_the_named_ones(schedule):
    t = torch.tensor([20, 500, 979])
    ac = schedule.alphas_cumprod[t].reshape(3, 1, 1, 1)
    for weighting, expected in (
        (Weighting(), torch.ones_like(ac)),
        (Weighting(noise_power=2), 1 - ac),
        (Weighting(signal_power=2), ac),
        (Weighting(signal_power=1, scale=3), 3 * ac.sqrt()),
        (Weighting(signal_power=-1, noise_power=1), ((1 - ac) / ac).sqrt()),
    ):
        torch.testing.assert_close(weighting(schedule, t), expected)


def test_weighting_stays_finite_at_zero_terminal_snr():
    schedule = NoiseSchedule(torch.tensor([1.0, 0.5, 0.0]))
    assert Weighting(signal_power=-1, noise_power=-1)(schedule, torch.arange(3)).isfinite().all()
