"""SIGTERM and SIGHUP end like Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from placid_kedro.app.interrupts import Interrupted, exit_code, signals_as_interrupts


@pytest.fixture(autouse=True)
def _signals_as_a_terminal_has_them() -> Iterator[None]:
    """Under nohup the tests' own process ignores SIGHUP."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_once_and_then_ends_the_program(number: signal.Signals) -> None:
    closed = []
    with pytest.raises(Interrupted, match=number.name) as raised, signals_as_interrupts():
        try:
            os.kill(os.getpid(), number)
            pytest.fail("the signal was not seen")
        finally:
            closed.append(True)
            assert signal.getsignal(number) is signal.SIG_DFL
    assert closed == [True]
    assert exit_code(raised.value) == 128 + number
    assert exit_code(KeyboardInterrupt()) == 130


def test_an_ignored_signal_stays_ignored() -> None:
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_other_threads_leave_signals_alone() -> None:
    seen = []

    def run() -> None:
        with signals_as_interrupts():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
