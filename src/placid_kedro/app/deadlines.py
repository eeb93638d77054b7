"""Calls that may never return, made in a thread of their own: the caller waits for so long and no longer."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread
from typing import Any


class Deadlines:
    """One thread that makes calls one after the other. After a call that did not end in time it is of no more use, and
    ends with the process."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        Thread(target=self._work, name="deadlines", daemon=True).start()

    def call(self, function: Callable[[], Any], seconds: float) -> Any:
        """What a function returns or raises.

        Args:
            function: to call.
            seconds: it may take.

        Raises:
            TimeoutError: it takes longer.
        """
        answer: Future[Any] = Future()
        self._orders.put((answer, function))
        if not wait([answer], timeout=seconds).done:
            raise TimeoutError(f"no whole answer within {seconds:.0f} s")
        return answer.result()

    def _work(self) -> None:
        while True:
            answer, function = self._orders.get()
            try:
                answer.set_result(function())
            except BaseException as error:  # the caller's, whatever it is
                answer.set_exception(error)
