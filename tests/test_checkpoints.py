"""A checkpoint comes back to the loop that left it, and to no other."""

from pathlib import Path

import pytest
import torch

from placid_kedro.checkpoints import Checkpoint


def test_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / ".a.checkpoint"
    assert Checkpoint(path, "mine", 0.0).load() is None
    Checkpoint(path, "mine", 0.0).save_when_due(lambda: {"step": 3, "weights": [torch.ones(2)]})
    state = Checkpoint(path, "mine").load()
    assert state is not None and state["step"] == 3 and torch.equal(state["weights"][0], torch.ones(2))
    assert Checkpoint(path, "another's").load() is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x02N."])
def test_a_damaged_one_is_as_none(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "c").write_bytes(content)
    assert Checkpoint(tmp_path / "c", "mine").load() is None
    assert "is damaged" in caplog.text


def test_it_is_saved_when_it_is_time(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", "mine", 3600.0).save_when_due(lambda: pytest.fail("too early"))
    assert not (tmp_path / "c").exists()
