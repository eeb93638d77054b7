import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.errors import ModelError, ParameterError, ShapeError

PREDICTION_TYPES = ["epsilon", "v_prediction", "sample"]


def _scheduler(prediction_type: str, zero_terminal_snr: bool = False) -> DDPMScheduler:
    return DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=prediction_type,
        rescale_betas_zero_snr=zero_terminal_snr,
    )


def _pair(seed: int = 0, batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, 3, 5, 6, generator=generator).unbind(0)


def test_noise_and_velocity_agree_with_diffusers():
    scheduler = _scheduler("v_prediction")
    schedule = NoiseSchedule.from_scheduler(scheduler)
    x, e = _pair()
    t = torch.tensor([0, 10, 500, 999])
    torch.testing.assert_close(schedule.add_noise(x, e, t), scheduler.add_noise(x, e, t))
    torch.testing.assert_close(schedule.target(x, e, t), scheduler.get_velocity(x, e, t))


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_x0_agrees_with_the_step_of_diffusers(prediction_type):
    scheduler = DDIMScheduler(
        prediction_type=prediction_type, clip_sample=False, beta_schedule="scaled_linear"
    )
    scheduler.set_timesteps(1000)
    schedule = NoiseSchedule.from_scheduler(scheduler)
    x_t, output = _pair(batch=1)
    for t in (1, 400, 999):
        expected = scheduler.step(output, t, x_t).pred_original_sample
        torch.testing.assert_close(schedule.to_x0(output, x_t, t), expected)


@given(
    seed=st.integers(0, 1000),
    t=st.lists(st.integers(1, 999), min_size=4, max_size=4),
    prediction_type=st.sampled_from(PREDICTION_TYPES),
    zero_terminal_snr=st.booleans(),
)
def test_perfect_output_gives_back_noise_and_sample(seed, t, prediction_type, zero_terminal_snr):
    scheduler = _scheduler(prediction_type, zero_terminal_snr)
    levels = scheduler.alphas_cumprod.double()
    schedule = NoiseSchedule(levels, prediction_type)
    x, e = (value.double() for value in _pair(seed))
    t = torch.tensor(t)
    x_t = schedule.add_noise(x, e, t)
    output = schedule.target(x, e, t)
    torch.testing.assert_close(schedule.to_epsilon(output, x_t, t), e, rtol=1e-6, atol=1e-6)
    if prediction_type != "epsilon" or bool((levels[t] > 1e-6).all()):
        torch.testing.assert_close(schedule.to_x0(output, x_t, t), x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_finite_at_zero_terminal_snr_and_without_noise(prediction_type):
    schedule = NoiseSchedule(torch.tensor([1.0, 0.5, 0.0]), prediction_type)
    x_t, output = _pair(batch=3)
    t = torch.arange(3)
    assert schedule.a(t).flatten()[2] == 0 and schedule.s(t).flatten()[0] == 0
    assert schedule.to_epsilon(output, x_t, t).isfinite().all()
    assert schedule.to_x0(output, x_t, t).isfinite().all()


def test_shapes_and_scalar_timestep():
    schedule = NoiseSchedule(torch.tensor([0.81, 0.36]))
    assert schedule.a(torch.tensor([0, 1, 1])).shape == (3, 1, 1, 1)
    assert schedule.s(1).item() == pytest.approx(0.8)
    assert schedule.a(torch.tensor(0)).item() == pytest.approx(0.9)


@pytest.mark.parametrize("t", [torch.tensor([0, 2]), torch.tensor([-1]), -1, 2, torch.tensor([0.5]), 0.5])
def test_refuses_timesteps_outside_the_schedule(t):
    with pytest.raises(ParameterError, match="timestep"):
        NoiseSchedule(torch.tensor([0.9, 0.1])).a(t)


@pytest.mark.parametrize(
    "levels",
    [
        torch.tensor([0.1, 0.9]),
        torch.tensor([1.1, 0.9]),
        torch.tensor([float("nan")]),
        torch.ones(2, 2),
        torch.ones(0),
    ],
)
def test_refuses_impossible_levels(levels):
    with pytest.raises(ParameterError, match="alphas_cumprod"):
        NoiseSchedule(levels)


def test_refuses_what_it_cannot_convert():
    with pytest.raises(ParameterError, match="prediction_type"):
        NoiseSchedule(torch.tensor([0.5]), "flow")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="alphas_cumprod"):
        NoiseSchedule.from_scheduler(FlowMatchEulerDiscreteScheduler())
    with pytest.raises(ShapeError, match="variance"):
        NoiseSchedule(torch.tensor([0.5])).to_epsilon(torch.ones(1, 6, 4, 4), torch.ones(1, 3, 4, 4), 0)
