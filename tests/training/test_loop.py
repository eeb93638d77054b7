"""The loop on networks that are no Latent-Plane: least squares, whose solution is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.training import LearningRateSchedule, TrainingSettings, make_accelerator, train

SLOPE = torch.tensor([1.5, -2.0, 0.5])


class LeastSquares(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.network = nn.Linear(3, 1)

    def trained_parameters(self):
        return list(self.network.parameters())

    def forward(self, batch, generator):
        x, y = batch
        error = (self.network(x)[:, 0] - y).square().mean()
        # One number that half of the batches say nothing of.
        rare = error.detach() if float(torch.rand((), generator=generator)) < 0.5 else torch.tensor(torch.nan)
        return {"loss": error, "rare": rare, "never": torch.tensor(torch.nan)}


def batches(number, generator):
    x = torch.randn(16, 3, generator=generator)
    return x, x @ SLOPE + 0.25


def settings(steps, **changes):
    schedule = LearningRateSchedule(warmup_steps=5, decay_share=0.5)
    values = {"learning_rate": 0.1, "weight_decay": 0.0, "ema_decay": 0.9, "checkpoint_every": 10}
    return TrainingSettings(steps=steps, schedule=schedule, **{**values, **changes})


def run(path, source=batches, steps=200, **options):
    objective = LeastSquares()
    train(objective, source, settings(steps), make_accelerator(cpu=True), path, **options)
    return objective.network


def test_it_finds_the_solution(tmp_path):
    network = run(tmp_path / "c.pt")
    torch.testing.assert_close(network.weight[0].detach(), SLOPE, rtol=0, atol=1e-3)
    torch.testing.assert_close(network.bias.detach(), torch.tensor([0.25]), rtol=0, atol=1e-3)
    assert not network.training


def test_a_cut_run_goes_on_to_the_same_bits(tmp_path):
    whole = run(tmp_path / "whole.pt", steps=45)

    def dies(number, generator):
        if number == 33:
            raise KeyboardInterrupt
        return batches(number, generator)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut.pt", dies, steps=45)
    seen = []

    def counted(number, generator):
        seen.append(number)
        return batches(number, generator)

    resumed = run(tmp_path / "cut.pt", counted, steps=45)
    assert seen == list(range(30, 45))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_reports_are_means_over_the_steps_since_the_last(tmp_path):
    coarse, fine = [], []
    for path, every, kept in (("a.pt", 10, coarse), ("b.pt", 1, fine)):
        objective = LeastSquares()
        options = settings(20, log_every=every)
        log = lambda values, step, kept=kept: kept.append((step, values))  # noqa: E731
        train(objective, batches, options, make_accelerator(cpu=True), tmp_path / path, log=log)
    assert [step for step, _ in coarse] == [10, 20]
    for step, values in coarse:
        own = [value for at, value in fine if step - 10 < at <= step]
        assert values["loss"] == pytest.approx(sum(v["loss"] for v in own) / 10, rel=1e-5)
        rare = [v["rare"] for v in own if "rare" in v]
        assert 0 < len(rare) < 10
        assert values["rare"] == pytest.approx(sum(rare) / len(rare), rel=1e-5)
        assert "never" not in values


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    run(tmp_path / "c.pt", steps=10, data_id="one")
    with pytest.raises(DataError, match="data one instead of two"):
        run(tmp_path / "c.pt", steps=10, data_id="two")


def test_the_bar_counts_what_is_left(tmp_path):
    counted = []

    class Bar:
        def track(self, iterable, total=None, description=""):
            counted.append((len(iterable), description))
            yield from iterable

    run(tmp_path / "c.pt", steps=10, progress=Bar(), description="fit")
    run(tmp_path / "c.pt", steps=10, progress=Bar(), description="fit")
    assert counted == [(10, "fit"), (0, "fit")]


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_never_reach_a_checkpoint(tmp_path, poison):
    """The loss of step 31 is a number again, but its weights are gone; the checkpoint is still that of step 30."""
    path = tmp_path / "c.pt"

    def broken(number, generator):
        x, y = batches(number, generator)
        return x, y * poison if number == 30 else y

    with pytest.raises(ParameterError, match=r"loss of step|weights"):
        run(path, broken, steps=45)
    kept = torch.load(path)
    assert kept["step"] == 30
    assert all(bool(value.isfinite().all()) for value in kept["network"].values())


def test_the_last_step_may_not_break_the_weights_either(tmp_path):
    class Steep(LeastSquares):
        def forward(self, batch, generator):
            loss = self.network.weight.sum()
            # Finite, with a derivative that is not.
            return {"loss": loss - loss.detach() + (loss - loss.detach()).sqrt()}

    with pytest.raises(ParameterError, match=r"After step 1 the weights weight are not finite"):
        train(Steep(), batches, settings(1), make_accelerator(cpu=True), tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()


def test_weights_without_a_gradient_are_found(tmp_path):
    """Their part of the loss falls no more, and the loss alone would not show it."""

    class CutOff(LeastSquares):
        def forward(self, batch, generator):
            x, y = batch
            error = (x @ self.network.weight[0].detach() + self.network.bias - y).square().mean()
            return {"loss": error + 0 * self.network.weight.sum()}

    with pytest.raises(ParameterError, match=r"After step 10 1 of 2 weights have never .* first weight;"):
        train(CutOff(), batches, settings(20), make_accelerator(cpu=True), tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()
