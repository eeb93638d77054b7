"""Objects are handled in another process, so that one that hangs, crashes or eats memory costs itself only."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO, Any

import psutil

from placid_kedro.errors import ResourceError
from placid_kedro.rejections import Reason

_START_SECONDS = 300.0
_TAIL_BYTES = 2000
_LOOK_SECONDS = 0.5
_IDLE_SHARE = (
    0.01  # a process that computes less than this share of the time waits for something that never comes
)
# One process an object: threads inside it would fight with those of the others.
_ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
}


def worker_command(memory_mb: int) -> list[str]:
    """What starts the process that does `placid_kedro.objects.tasks`.

    Args:
        memory_mb: MiB that it may allocate.
    """
    return [sys.executable, "-m", "placid_kedro.objects.worker", str(memory_mb)]


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        result: what the task returned; empty when it failed.
        reason: empty when it succeeded.
        detail: the reason as a sentence.
        seconds: that the job took, the start of its process apart.
    """

    result: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    seconds: float = 0.0


class IsolatedProcess:
    """A process that does one job after the other and is replaced when it is lost.

    Args:
        command: starts a program that says `ready` and then answers lines of JSON, as
            `placid_kedro.objects.worker` does.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._unread = b""

    def run(self, task: str, arguments: dict[str, Any], seconds: float) -> Outcome:
        """Do one job.

        Args:
            task: name in `placid_kedro.objects.tasks.TASKS`.
            arguments: of the task, as JSON.
            seconds: of processor time after which it is given up, however busy the machine is with others; or that it
                waits without computing. The start of the process does not count.

        Raises:
            ResourceError: the process does not start.
        """
        process = self._started()
        started = time.monotonic()
        outcome = self._answer(process, task, arguments, seconds)
        return replace(outcome, seconds=time.monotonic() - started)

    def _answer(
        self, process: subprocess.Popen[bytes], task: str, arguments: dict[str, Any], seconds: float
    ) -> Outcome:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"task": task, "arguments": arguments}).encode() + b"\n")
            process.stdin.flush()
            line = self._line(seconds)
        except BrokenPipeError:
            line = b""
        if line is None:
            self.close()
            return Outcome(
                reason=Reason.TIMED_OUT.value, detail=f"gave no result in {seconds:g} s of processor time"
            )
        if not line:
            return self._post_mortem()
        return Outcome(**json.loads(line))

    def close(self) -> None:
        """End the process and everything it started."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                self._process.poll()  # it had ended by itself
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._errors):
                if stream is not None:
                    stream.close()
        self._process, self._errors, self._unread = None, None, b""

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        if not self._line(_START_SECONDS):
            outcome = self._post_mortem()
            raise ResourceError(
                f"The process that handles objects does not start ({outcome.detail}); give it more memory or mend "
                "its environment."
            )
        return self._process

    def _line(self, seconds: float) -> bytes | None:
        """One line of the process's output; empty when it ended, None when its time is over."""
        assert self._process is not None
        assert self._process.stdout is not None
        budget = _Budget(self._process.pid, seconds)
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if budget.is_spent():
                    return None
                if selector.select(min(_LOOK_SECONDS, seconds)):
                    block = os.read(self._process.stdout.fileno(), 1 << 16)
                    if not block:
                        return b""
                    self._unread += block
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _post_mortem(self) -> Outcome:
        """Why the process ended."""
        assert self._process is not None
        assert self._errors is not None
        code = self._process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _TAIL_BYTES))
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        self.close()
        if code == -signal.SIGKILL or "bad_alloc" in last:
            return Outcome(reason=Reason.OUT_OF_MEMORY.value, detail="the system ended its process")
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Outcome(
            reason=Reason.CRASHED.value, detail=f"its process ended with {name}: {last}".rstrip(": ")
        )


class _Budget:
    """Processor time that a process, with all that it starts, may still use.

    Args:
        pid: of the process.
        seconds: it may compute, and may wait without computing.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid, self._seconds = pid, seconds
        self._start = self._used = processor_seconds(pid)
        self._checked = time.monotonic()

    def is_spent(self) -> bool:
        """Whether the process used its time up, or hardly any of it for as long."""
        now, used = time.monotonic(), processor_seconds(self._pid)
        if used - self._start >= self._seconds:
            return True
        if now - self._checked < self._seconds:
            return False
        idle = used - self._used < _IDLE_SHARE * (now - self._checked)
        self._checked, self._used = now, used
        return idle


def processor_seconds(pid: int) -> float:
    """Seconds that the processors worked for a process and all that it started; 0 for one that has ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for member in family:
        with suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
