"""Devices by name, and a generator of its own for each stage."""

import pytest
import torch

from placid_kedro.device import resolve_device
from placid_kedro.randomness import stage_generator


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_stages_draw_their_own_numbers() -> None:
    def draws(seed: int, stage: str) -> list[float]:
        return torch.rand(4, generator=stage_generator(seed, stage)).tolist()

    assert draws(0, "lora") == draws(0, "lora")
    assert len({tuple(draws(seed, stage)) for seed in (0, 1, 2**63 - 1) for stage in ("lora", "init")}) == 6


def test_another_stages_draws_change_nothing() -> None:
    first, second = stage_generator(0, "a"), stage_generator(0, "b")
    alone = torch.rand(3, generator=stage_generator(0, "b"))
    torch.rand(100, generator=first)
    torch.rand(7)
    assert torch.equal(torch.rand(3, generator=second), alone)
