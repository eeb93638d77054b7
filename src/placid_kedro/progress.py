"""How library code tells what it is doing, without knowing who listens."""

import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

_SHOWN_METRICS = 3

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Where a long loop reports its steps, its metrics and its sample images."""

    def track(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        """Pass the items through while showing how many are done and how long the rest will take.

        Args:
            iterable: the loop's items.
            total: number of items; taken from `len(iterable)` where that works.
            description: a word or two for the bar.
        """

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record numbers of one step of a loop, by name."""

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Record an image, float32 [3 or 4, H, W] in [0, 1]."""


class SilentProgress:
    """Reports nothing."""

    def track(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        """Pass the items through."""
        yield from iterable

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Drop the numbers."""

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """Drop the image."""


SILENT = SilentProgress()


@dataclass
class _Loop:
    """The loop that runs now."""

    description: str
    total: int | None
    done: int = 0
    started: float = field(default_factory=lambda: time.monotonic())
    metrics: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """One line: steps done, time taken and left, the newest metrics."""
        taken = time.monotonic() - self.started
        count = f"{self.done} of {self.total}" if self.total is not None else str(self.done)
        parts = [f"{self.description}: {count}", f"{_duration(taken)} taken"]
        if self.total is not None and self.done:
            parts.append(f"{_duration(taken / self.done * (self.total - self.done))} left")
        return ", ".join([*parts, *shown_metrics(self.metrics)])


class ConsoleProgress:
    """A bar on a terminal; elsewhere (a pipe, a log file) a line every few seconds. Never silent for longer.

    Args:
        report_seconds: longest silence within a stage.
        stream: where bars go; it decides whether this is a terminal.
    """

    def __init__(self, report_seconds: float = 3.0, stream: TextIO | None = None) -> None:
        self._report_seconds = report_seconds
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._loop: _Loop | None = None
        self._bar: Any = None
        self._last_report = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report on a stage while the body runs, also where it has no loop to show."""
        finished = threading.Event()
        started = time.monotonic()
        logger.info("%s: started", name)
        self._last_report = started
        heartbeat = threading.Thread(
            target=self._beat, args=(name, started, finished), name="progress", daemon=True
        )
        heartbeat.start()
        try:
            yield
        finally:
            finished.set()
            heartbeat.join()
        logger.info("%s: done in %s", name, _duration(time.monotonic() - started))

    def track(self, iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
        """Pass the items through under a bar or with a line every few seconds. Loops may be nested."""
        outer_loop, outer_bar = self._loop, self._bar
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        self._loop = loop = _Loop(description or "steps", total)
        self._bar = self._new_bar(loop)
        try:
            for item in iterable:
                yield item
                loop.done += 1
                if self._bar is not None:
                    self._bar.update()
                self._report_when_due(loop.line)
        finally:
            if self._bar is not None:
                self._bar.close()
            self._loop, self._bar = outer_loop, outer_bar
        if not self._terminal and outer_loop is None:
            self._report(loop.line())

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Show the newest numbers beside the bar."""
        if self._loop is not None:
            self._loop.metrics = dict(metrics)
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join(shown_metrics(metrics)), refresh=False)

    def log_image(self, step: int, name: str, image: "Tensor") -> None:
        """A console shows no images."""

    def _new_bar(self, loop: _Loop) -> Any:
        if not self._terminal:
            return None
        from tqdm import tqdm

        width, height = shutil.get_terminal_size()  # 80 x 24 where the terminal does not tell
        return tqdm(total=loop.total, desc=loop.description, file=self._stream, ncols=width, nrows=height)

    def _beat(self, name: str, started: float, finished: threading.Event) -> None:
        """Runs in a thread of its own: a step that takes long must not look like a hang."""
        while not finished.wait(self._report_seconds / 4):
            bar, loop = self._bar, self._loop
            if bar is not None:
                bar.refresh()
                continue
            line = (
                loop.line
                if loop
                else lambda: f"{name}: working, {_duration(time.monotonic() - started)} taken"
            )
            self._report_when_due(line)

    def _report_when_due(self, line: Any) -> None:
        if self._bar is None and time.monotonic() - self._last_report >= self._report_seconds:
            self._report(line())

    def _report(self, line: str) -> None:
        self._last_report = time.monotonic()
        logger.info(line)


def shown_metrics(metrics: Mapping[str, float]) -> list[str]:
    """The first few metrics as `name value`."""
    return [f"{name} {value:.4g}" for name, value in list(metrics.items())[:_SHOWN_METRICS]]


def _duration(seconds: float) -> str:
    """`8.3 s`, `2 min 05 s` or `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
