"""The cells of a sweep over workers: processes of this machine, one a GPU, or those of a dask scheduler."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, as_completed
from distributed.scheduler import KilledWorker

from placid_kedro.app.sweep.plan import Cell
from placid_kedro.app.sweep.worker import FAILED, CellResult, Sweep, run_cell
from placid_kedro.errors import ResourceError
from placid_kedro.objects.cluster import QUIET, quiet, scheduler_client

logger = logging.getLogger("placid_kedro.run")

_SETTINGS = {
    **QUIET,
    # A cell that ends its worker is given up; the others go on.
    "distributed.scheduler.allowed-failures": 0,
    # dask would give each worker a single thread; a worker here has the machine, or its GPU, to itself. The second is
    # for what `quiet` is for, in the workers' own processes.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": 65536,
        "DASK_LOGGING__DISTRIBUTED": "error",
    },
    # dask would end a worker for good whose successor takes longer to start, as on a busy machine: nothing would run.
    "distributed.deploy.lost-worker-timeout": "365 days",
    # Compiled kernels may hold a process for longer than dask waits by default.
    "distributed.scheduler.worker-ttl": None,
}


@contextmanager
def sweep_client(scheduler: str, workers: int) -> Iterator[Client]:
    """Connect to a scheduler, or start workers on this machine and end them afterwards.

    Args:
        scheduler: address as `tcp://host:8786`; empty for this machine.
        workers: of this machine; 0 for one a GPU, or one without a GPU.

    Raises:
        ResourceError: see `placid_kedro.objects.cluster.scheduler_client`.
    """
    if scheduler:
        with scheduler_client(scheduler) as client:
            yield client
        return
    quiet()
    used = False
    try:
        with _local_cluster(workers) as client:
            yield client
            used = True
    except TimeoutError:
        if not used:
            raise
        # dask has killed those by then; what they made is there.
        logger.warning("The workers took long to end.")


@contextmanager
def _local_cluster(workers: int) -> Iterator[Client]:
    gpus = _gpus()
    with (
        dask.config.set(_SETTINGS),
        SpecCluster(
            scheduler={
                "cls": Scheduler,
                "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"},
            },
            workers={number: _worker(number, gpus) for number in range(workers or max(1, gpus))},
            silence_logs=False,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def check_folder(client: Client, project_path: Path) -> None:
    """Raises ResourceError where a worker does not see the project's folder under the same path."""
    for worker, there in client.run(os.path.isdir, str(project_path)).items():
        if not there:
            raise ResourceError(
                f"The dask worker at {worker} sees no folder {project_path}; mount the project's folder there, under "
                "the same path."
            )


def _worker(number: int, gpus: int) -> dict[str, Any]:
    """One process with one thread, which sees one GPU where there are any."""
    environment = {"CUDA_VISIBLE_DEVICES": str(number % gpus)} if gpus else {}
    options = {"nthreads": 1, "memory_limit": 0, "env": environment, "dashboard": False}
    return {"cls": Nanny, "options": options}


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def run_cells(sweep: Sweep, cells: Sequence[Cell], client: Client) -> Iterator[tuple[Cell, CellResult]]:
    """Run cells on a cluster, each after those that make what it shares; results come as they are ready.

    A cell whose worker died is a failed result; those that waited for it run all the same.
    """
    waiting = list(cells)
    # What comes before a cell may not be among those to run.
    wanted = {cell.index for cell in cells}
    ended: set[int] = set()
    under_way: dict[Any, Cell] = {}
    finished = as_completed()

    def submit_ready() -> None:
        # A worker that dies takes with it what waits there, so nothing does.
        free = max(1, sum(client.nthreads().values())) - len(under_way)
        for cell in [cell for cell in waiting if not (cell.after & wanted) - ended][:free]:
            waiting.remove(cell)
            future = client.submit(run_cell, sweep, cell, pure=False)
            under_way[future.key] = cell
            finished.add(future)

    submit_ready()
    for future in finished:
        cell = under_way.pop(future.key)
        try:
            result = future.result()
        except KilledWorker:
            result = CellResult(
                FAILED, sentence="Its worker died, most often for want of memory; choose smaller sizes."
            )
        # A result that is held is made again when its worker dies later.
        future.release()
        ended.add(cell.index)
        submit_ready()
        yield cell, result
