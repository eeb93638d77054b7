"""Bars on a terminal, lines elsewhere, and never a long silence."""

import io
import logging
import threading
import time
from itertools import pairwise
from types import SimpleNamespace

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


class Clock:
    """Time that goes on when it is told to, in the place of the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("placid_kedro.progress.time", clock)
    return clock


def test_a_pipe_gets_a_line_with_the_remaining_time(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    progress = ConsoleProgress(report_seconds=10.0, stream=io.StringIO())
    with caplog.at_level(logging.INFO, "placid_kedro"):
        for step in progress.track([object()] * 10, description="splats"):
            assert step is not None
            progress.log_metrics(0, {"loss": 2.0})
            clock.now += 4.0
    lines = [record.getMessage() for record in caplog.records]
    # Due every 10 s, looked at every 4 s; the last line comes with the end.
    assert [line.partition(",")[0] for line in lines] == [
        "splats: 3 of 10",
        "splats: 6 of 10",
        "splats: 9 of 10",
        "splats: 10 of 10",
    ]
    assert lines[0] == "splats: 3 of 10, 12.0 s taken, 28.0 s left, loss 2"


def test_a_long_step_is_not_silent(
    caplog: pytest.LogCaptureFixture, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, ended, said = 50.0, threading.Event(), []

    class Waits:
        """In the place of `threading.Event`: a wait takes its time on the clock."""

        def wait(self, seconds: float) -> bool:
            if clock.now >= over:
                ended.set()
                return True
            clock.now += seconds
            return False

        def set(self) -> None:
            pass

    events = SimpleNamespace(Event=Waits, Thread=threading.Thread)
    monkeypatch.setattr("placid_kedro.progress.threading", events)
    monkeypatch.setattr("placid_kedro.progress.logger.info", lambda *text: said.append((clock.now, text)))
    with ConsoleProgress(report_seconds=10.0, stream=io.StringIO()).stage("reference"):
        ended.wait()
    times = [when for when, _ in said]
    lines = [text[0] % text[1:] for _, text in said]
    assert lines[0] == "reference: started"
    assert lines[1] == "reference: working, 10.0 s taken"
    assert lines[-1] == "reference: done in 50.0 s"
    assert max(later - earlier for earlier, later in pairwise(times)) <= 10.0


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
