"""Many jobs over many processes and machines with dask, each object isolated from the others."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pkgutil import resolve_name
from threading import get_ident
from typing import Any

import dask
from distributed import Client, LocalCluster, WorkerPlugin, as_completed, get_worker
from distributed.scheduler import KilledWorker

from placid_kedro import __version__
from placid_kedro.errors import ResourceError
from placid_kedro.objects.isolation import IsolatedProcess, Outcome, worker_command
from placid_kedro.progress import SILENT, Progress
from placid_kedro.rejections import Reason

_PLUGIN = "placid_kedro_isolated_processes"
_CONNECT_SECONDS = 15
_FIRST_WORKER_SECONDS = 60
_QUEUED_PER_THREAD = 3
# What dask records of itself on this machine would take a tenth of a core from the workers, and memory with each job.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.low-level-log-length": 100,
}


@dataclass(frozen=True)
class Job:
    """One thing to do with one object.

    Attributes:
        uid: of the object.
        task: name in `placid_kedro.objects.tasks.TASKS`.
        arguments: of the task, as JSON.
        seconds: after which it is given up.
    """

    uid: str
    task: str
    arguments: dict[str, Any]
    seconds: float


class _Processes(WorkerPlugin):
    """One isolated process for each thread of a dask worker, ended with the worker."""

    name = _PLUGIN

    def __init__(self, memory_mb: int) -> None:
        self._memory_mb = memory_mb

    def setup(self, worker: Any) -> None:
        """Called by dask on the worker."""
        self._by_thread: dict[int, IsolatedProcess] = {}

    def teardown(self, worker: Any) -> None:
        """Called by dask on the worker."""
        for process in self._by_thread.values():
            process.close()

    def run(self, job: Job) -> Outcome:
        """Do a job in this thread's process."""
        process = self._by_thread.setdefault(get_ident(), IsolatedProcess(worker_command(self._memory_mb)))
        return process.run(job.task, job.arguments, job.seconds)


def _do(job: Job) -> Outcome:
    plugin = get_worker().plugins[_PLUGIN]
    assert isinstance(plugin, _Processes)
    return plugin.run(job)


@contextmanager
def scheduler_client(scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler at an address as `tcp://host:8786`.

    Raises:
        ResourceError: nothing answers there, it has no worker for a minute, or this project is not installed there.
    """
    quiet()
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise ResourceError(
            f"No dask scheduler answers at {scheduler} ({type(error).__name__}); start one with "
            "`dask scheduler`, or leave the address empty to use this machine."
        ) from error
    with client:
        _check_installed(client, scheduler)
        yield client


def quiet() -> None:
    """What dask tells of its connections would drown the lines of a run; its errors are still told."""
    logging.getLogger("distributed").setLevel(logging.ERROR)


def _check_installed(client: Client, scheduler: str) -> None:
    """A job that its worker, or the scheduler, cannot unpickle would never come back."""
    try:
        client.wait_for_workers(1, timeout=_FIRST_WORKER_SECONDS)
    except TimeoutError as error:
        raise ResourceError(
            f"The dask scheduler at {scheduler} has had no worker for {_FIRST_WORKER_SECONDS} seconds; start some with "
            f"`dask worker {scheduler} --nthreads 1`."
        ) from error
    # A function of the standard library: it can be sent to where this project is not.
    version = (resolve_name, "placid_kedro:__version__")
    try:
        found = {f"The scheduler at {scheduler}": client.run_on_scheduler(*version)}
    except (ImportError, AttributeError) as error:
        found = {f"The scheduler at {scheduler}": error}
    for worker, answer in client.run(*version, on_error="return").items():
        found[f"The dask worker at {worker}"] = answer
    for place, answer in found.items():
        if answer != __version__:
            has = f"placid_kedro {answer}" if isinstance(answer, str) else "no placid_kedro"
            raise ResourceError(
                f"{place} has {has}, this machine {__version__}; start it in an environment with the same project."
            )


@contextmanager
def dask_client(scheduler: str, workers: int) -> Iterator[Client]:
    """Connect to a scheduler, or start workers on this machine and end them afterwards.

    A remote worker that dies gives its objects to the others; an object that does this to several workers (as
    many as the scheduler's `allowed-failures`) is given up.

    Args:
        scheduler: address as `tcp://host:8786`; empty for this machine.
        workers: of this machine; 0 for one a core.

    Raises:
        ResourceError: see `scheduler_client`.
    """
    if scheduler:
        with scheduler_client(scheduler) as client:
            yield client
        return
    quiet()
    count = workers or len(os.sched_getaffinity(0))
    with (
        dask.config.set(QUIET),
        LocalCluster(
            # Each thread waits for an isolated process of its own; dask's need not be one more.
            n_workers=1,
            threads_per_worker=count,
            processes=False,
            dashboard_address=None,
            # dask serves its state over HTTP all the same: to this machine alone, on any port that is free.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_jobs(
    jobs: Iterable[Job],
    total: int,
    client: Client,
    memory_mb: int,
    progress: Progress = SILENT,
    name: str = "",
) -> Iterator[tuple[Job, Outcome]]:
    """Do jobs on a cluster; results come as they are ready, in any order.

    Only a few jobs a worker are under way at once: memory does not grow with their number.

    Args:
        jobs: what to do.
        total: how many there are.
        client: of the cluster.
        memory_mb: MiB that each job's process may allocate.
        progress: shows the bar and the objects an hour.
        name: on the bar, and of the metrics: objects an hour of all workers together, and the mean seconds that
            one object keeps its worker busy.
    """
    client.register_plugin(_Processes(memory_mb))
    waiting = iter(jobs)
    under_way: dict[Any, Job] = {}
    finished = as_completed()
    started = time.monotonic()

    def submit() -> bool:
        job = next(waiting, None)
        if job is None:
            return False
        future = client.submit(_do, job, pure=False)
        under_way[future.key] = job
        finished.add(future)
        return True

    def results() -> Iterator[tuple[Job, Outcome]]:
        threads = max(1, sum(client.nthreads().values()))
        while len(under_way) < _QUEUED_PER_THREAD * threads and submit():
            pass
        for future in finished:
            job = under_way.pop(future.key)
            try:
                outcome = future.result()
            except KilledWorker:
                detail = "the workers that handled it died"
                outcome = Outcome(reason=Reason.WORKER_DIED.value, detail=detail)
            submit()
            yield job, outcome

    busy = 0.0
    for number, (job, outcome) in enumerate(progress.track(results(), total, name), start=1):
        hours = (time.monotonic() - started) / 3600
        busy += outcome.seconds
        progress.log_metrics(
            number, {f"{name}/objects_per_hour": number / hours, f"{name}/seconds_an_object": busy / number}
        )
        yield job, outcome
