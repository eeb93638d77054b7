"""Bars on a terminal, lines elsewhere, and never a long silence."""

import io
import logging
import time
from itertools import pairwise

import pytest

from placid_kedro.progress import SILENT, ConsoleProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_progress_passes_items_through() -> None:
    assert list(SILENT.track(range(3))) == [0, 1, 2]
    SILENT.log_metrics(0, {"loss": 1.0})


def test_a_terminal_gets_a_bar_with_steps_and_metrics() -> None:
    terminal = Terminal()
    progress = ConsoleProgress(stream=terminal)
    for step in progress.track(range(4), description="lora"):
        progress.log_metrics(step, {"loss": 0.25})
        time.sleep(0.06)
    shown = terminal.getvalue()
    assert "lora" in shown
    assert "4/4" in shown
    assert "loss 0.25" in shown


def test_a_pipe_gets_a_line_with_the_remaining_time(caplog: pytest.LogCaptureFixture) -> None:
    progress = ConsoleProgress(report_seconds=0.1, stream=io.StringIO())
    with caplog.at_level(logging.INFO, "placid_kedro"):
        for step in progress.track(range(10), description="splats"):
            progress.log_metrics(step, {"loss": 2.0})
            time.sleep(0.03)
    lines = [record.getMessage() for record in caplog.records]
    assert 2 <= len(lines) <= 5
    assert any("left" in line and "loss 2" in line for line in lines[:-1])
    assert lines[-1].startswith("splats: 10 of 10")


def test_a_long_step_is_not_silent(caplog: pytest.LogCaptureFixture) -> None:
    progress = ConsoleProgress(report_seconds=0.1, stream=io.StringIO())
    with caplog.at_level(logging.INFO, "placid_kedro"), progress.stage("reference"):
        time.sleep(0.5)
    times = [record.created for record in caplog.records]
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "reference: started"
    assert lines[1].startswith("reference: working")
    assert lines[-1].startswith("reference: done in 0.5")
    assert max(later - earlier for earlier, later in pairwise(times)) < 0.3


def test_an_iterable_without_length_counts_up(caplog: pytest.LogCaptureFixture) -> None:
    progress = ConsoleProgress(stream=io.StringIO())
    with caplog.at_level(logging.INFO, "placid_kedro"):
        assert list(progress.track(iter("abc"))) == ["a", "b", "c"]
    assert caplog.records[-1].getMessage().startswith("steps: 3, ")


def test_nested_loops_come_back_to_the_outer_one() -> None:
    terminal = Terminal()
    progress = ConsoleProgress(stream=terminal)
    pairs = [
        (outer, inner)
        for outer in progress.track(range(2), description="outer")
        for inner in progress.track(range(2), description="inner")
    ]
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert "outer: 100%" in terminal.getvalue()


def test_an_error_in_the_loop_ends_the_stage() -> None:
    progress = ConsoleProgress(report_seconds=0.05, stream=io.StringIO())
    with pytest.raises(ValueError, match="bad step"), progress.stage("lora"):
        for _ in progress.track(range(3)):
            raise ValueError("bad step")
