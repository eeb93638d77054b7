"""SIGTERM and SIGHUP end a run as Ctrl-C does: everything is closed, and one sentence says how to go on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GO_ON = "finished files are as they were: go on with the same command and --only-missing-outputs."


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Inside, the first SIGTERM or SIGHUP raises `Interrupted`; a second one ends the program at once.

    A signal that is ignored (`nohup`) or that somebody else handles stays as it is, as do all of them in threads other
    than the main one, where Python handles none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    taken = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def exit_code(error: KeyboardInterrupt) -> int:
    """As shells count: 128 and the signal's number."""
    return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)
