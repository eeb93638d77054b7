"""Muon on the matrices, AdamW on the rest, against the singular value decomposition and torch's AdamW."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from placid_kedro.errors import DataError, ParameterError
from placid_kedro.training import TrainingSettings, make_accelerator, train
from placid_kedro.training.optimizers import hidden_matrices, make_optimizer

RATE = 0.01


class SmallUNet(nn.Module):
    """Layers by the names of diffusers' UNet."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.conv_in = nn.Conv2d(16, 64, 3)
        self.time_embedding = nn.Linear(64, 64)
        self.wide = nn.Conv2d(64, 48, 3)
        self.tall = nn.Linear(48, 192)
        self.small = nn.Linear(192, 24)
        self.norm = nn.GroupNorm(4, 48)
        self.conv_out = nn.Conv2d(64, 64, 3)


def muon(**changes):
    return TrainingSettings(
        steps=10,
        optimizer="muon",
        learning_rate=RATE,
        **{"weight_decay": 0.0, "betas": (0.9, 0.99), **changes},
    )


def with_gradients(network, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return network


def test_only_large_inner_matrices_are_muons():
    network = SmallUNet()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    trained = [parameter for parameter in network.parameters() if parameter is not network.tall.weight]
    assert [names[id(one)] for one in hidden_matrices(network, list(network.parameters()))] == [
        "wide.weight",
        "tall.weight",
    ]
    assert [names[id(one)] for one in hidden_matrices(network, trained)] == ["wide.weight"]


@pytest.mark.parametrize("layer", ["wide", "tall"])
def test_a_step_turns_the_gradients_singular_values_into_ones(layer):
    network = with_gradients(SmallUNet(), seed=1)
    weight = getattr(network, layer).weight
    before, gradient = weight.detach().clone(), weight.grad.flatten(1).double()
    make_optimizer(network, list(network.parameters()), muon()).step()
    step = (before - weight.detach()).flatten(1).double()
    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    seen = left.T @ step @ right.T / (RATE * 0.2 * max(gradient.shape) ** 0.5)
    # Five Newton-Schulz steps leave singular values between 0.7 and 1.2, in bfloat16.
    assert seen.diagonal().min() > 0.6 and seen.diagonal().max() < 1.3
    assert (seen - seen.diagonal().diag()).abs().max() < 0.03
    # As far as AdamW's usual step, 0.2 to 0.4 of its rate.
    assert 0.1 < step.square().mean().sqrt() / RATE < 0.4


def test_the_rest_goes_on_as_with_adamw():
    ours, theirs = SmallUNet(), SmallUNet()
    mixed = make_optimizer(ours, list(ours.parameters()), muon(weight_decay=0.1))
    plain = torch.optim.AdamW(theirs.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.1)
    for seed in range(3):
        for network, optimizer in ((ours, mixed), (theirs, plain)):
            with_gradients(network, seed)
            optimizer.step()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if name in ("wide.weight", "tall.weight"):
            assert not torch.allclose(one, other)
        else:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_default_is_adamw():
    network = SmallUNet()
    assert (
        type(make_optimizer(network, list(network.parameters()), TrainingSettings(steps=1)))
        is torch.optim.AdamW
    )


def test_a_network_without_such_matrices_is_refused():
    network = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 64))
    with pytest.raises(ParameterError, match=r"'muon' needs matrices of at least 48 x 48 .* use 'adamw'"):
        make_optimizer(network, list(network.parameters()), muon())


class Rotation(nn.Module):
    """Least squares for a matrix that turns vectors of 64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.network = nn.Linear(64, 64)
        self.wanted = torch.linalg.qr(torch.randn(64, 64)).Q

    def trained_parameters(self):
        return list(self.network.parameters())

    def forward(self, batch, generator):
        return {"loss": (self.network(batch) - batch @ self.wanted.T - 0.5).square().mean()}


def vectors(number, generator):
    return torch.randn(256, 64, generator=generator)


def rotation(path, source=vectors, steps=60, optimizer="muon"):
    objective = Rotation()
    settings = TrainingSettings(
        steps=steps,
        optimizer=optimizer,
        learning_rate=0.03,
        weight_decay=0.0,
        ema_decay=0.5,
        checkpoint_every=20,
    )
    train(objective, source, settings, make_accelerator(cpu=True), path)
    return objective


def test_the_loop_finds_a_rotation_with_it(tmp_path):
    objective = rotation(tmp_path / "c.pt", steps=200)
    assert (objective.network.weight - objective.wanted).abs().max() < 0.05
    assert (objective.network.bias - 0.5).abs().max() < 0.05


def test_a_cut_run_goes_on_to_the_same_bits_with_it(tmp_path):
    whole = rotation(tmp_path / "whole.pt")

    def dies(number, generator):
        if number == 45:
            raise KeyboardInterrupt
        return vectors(number, generator)

    with pytest.raises(KeyboardInterrupt):
        rotation(tmp_path / "cut.pt", dies)
    resumed = rotation(tmp_path / "cut.pt")
    assert torch.equal(whole.network.weight, resumed.network.weight)
    assert torch.equal(whole.network.bias, resumed.network.bias)


def test_a_checkpoint_of_the_other_optimizer_is_refused(tmp_path):
    rotation(tmp_path / "c.pt", steps=20)
    with pytest.raises(DataError, match="optimizer muon instead of adamw"):
        rotation(tmp_path / "c.pt", steps=20, optimizer="adamw")
