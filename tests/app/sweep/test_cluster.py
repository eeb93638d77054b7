"""Cells on real workers: one that dies, and two at once. What a cell does is replaced; how it gets there is not."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import cloudpickle
import dask
import pytest
from distributed import Client

from placid_kedro.ablation.comparison import FINISHED
from placid_kedro.app.run_context import SessionSource
from placid_kedro.app.sweep import cluster
from placid_kedro.app.sweep.cluster import check_folder, run_cells, sweep_client
from placid_kedro.app.sweep.plan import Cell
from placid_kedro.app.sweep.worker import FAILED, CellResult, Sweep
from placid_kedro.errors import ResourceError
from placid_kedro.objects.cluster import dask_client

# Workers cannot import tests: what they are to do is sent as code.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
# Only a test that fails waits so long.
PATIENCE_SECONDS = 900.0


def cell(index: int, variant: str, *after: int) -> Cell:
    return Cell(index, variant, "a cat", 0, {}, {}, frozenset(after))


def sweep_in(folder: Path) -> Sweep:
    return Sweep("sweep", ("plain", "dies", "meets"), "generate", SessionSource(folder, "", None, {}), "")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} did not come")
        time.sleep(0.02)


def act(sweep: Sweep, cell: Cell) -> CellResult:
    """End the process, meet another cell, or only finish, by the variant's name; says who ended before, and where."""
    folder = sweep.source.project_path
    if cell.variant == "dies":
        os._exit(1)
    if cell.variant == "meets":
        (folder / f"here-{cell.index}").touch()
        wait_for(folder / f"here-{1 - cell.index}")
    before = sorted(int(path.name) for path in (folder / "ended").iterdir())
    (folder / "ended" / str(cell.index)).touch()
    return CellResult(FINISHED, sentence=" ".join(map(str, before)), folder=str(os.getpid()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A function without a name in a module is sent as code; workers would look for the other in the tests.
    monkeypatch.setattr(cluster, "run_cell", lambda sweep, cell: act(sweep, cell))
    (tmp_path / "ended").mkdir()
    return tmp_path


@contextmanager
def workers(count: int) -> Iterator[Client]:
    """Workers of this machine; a sweep that does not end is given up."""
    with sweep_client("", count) as client:
        given_up = Timer(PATIENCE_SECONDS, client.close)
        given_up.start()
        try:
            yield client
        finally:
            given_up.cancel()


def test_a_worker_that_dies_costs_one_cell(folder: Path) -> None:
    """The cell that shares with the lost one runs all the same, on the worker that takes the dead one's place, however
    long that one takes to start."""
    cells = [cell(0, "plain"), cell(1, "dies", 0), cell(2, "plain", 0, 1), cell(3, "plain")]
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}), workers(1) as client:
        results = {one.index: result for one, result in run_cells(sweep_in(folder), cells, client)}
    assert {index: result.status for index, result in results.items()} == {
        0: FINISHED,
        1: FAILED,
        2: FINISHED,
        3: FINISHED,
    }
    assert results[1].sentence.startswith("Its worker died") and results[1].sentence.count("\n") == 0
    assert results[2].folder != results[0].folder


def test_two_workers_work_at_once_and_wait_for_what_is_shared(folder: Path) -> None:
    """Cells 0 and 1 end only while both are running; 2 and 3 share what 0 and 1 make."""
    cells = [cell(0, "meets"), cell(1, "meets"), cell(2, "plain", 0, 1), cell(3, "plain", 1)]
    with workers(2) as client:
        results = {one.index: result for one, result in run_cells(sweep_in(folder), cells, client)}
    assert [results[index].status for index in range(4)] == [FINISHED] * 4
    assert results[0].folder != results[1].folder
    ended_before = {index: set(results[index].sentence.split()) for index in (2, 3)}
    assert ended_before[2] >= {"0", "1"} and ended_before[3] >= {"1"}


def test_workers_that_are_slow_to_end_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """dask raises where a worker's process does not end in five seconds."""

    @contextmanager
    def slow(workers: int) -> Iterator[str]:
        yield "client"
        raise TimeoutError

    monkeypatch.setattr(cluster, "_local_cluster", slow)
    made = []
    with sweep_client("", 1) as client:
        made.append(client)
    assert made == ["client"]
    with pytest.raises(TimeoutError, match="of a cell"), sweep_client("", 1):
        raise TimeoutError("of a cell")


def test_a_worker_without_the_projects_folder_is_told(tmp_path: Path) -> None:
    with dask_client("", 1) as client:
        check_folder(client, tmp_path)
        with pytest.raises(ResourceError, match=r"sees no folder .*/gone; mount the project's folder"):
            check_folder(client, tmp_path / "gone")
