"""Jobs on a dask cluster: bounded queues, and workers that die."""

import os
import subprocess
import sys
from collections.abc import Iterator

import dask
import pytest
from distributed import LocalCluster

from placid_kedro.errors import ResourceError
from placid_kedro.objects import cluster
from placid_kedro.objects.cluster import Job, dask_client, run_jobs, scheduler_client
from placid_kedro.objects.isolation import Outcome
from placid_kedro.rejections import Reason


def jobs(uids: str) -> list[Job]:
    return [Job(uid, "render", {}, 1.0) for uid in uids]


def test_a_worker_that_dies_costs_the_object_that_killed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster of processes, as on other machines; the test stands in for what runs on the worker."""
    # A lambda travels by value: workers cannot import this module.
    do = lambda job: os._exit(9) if job.uid == "x" else Outcome(result={"uid": job.uid})  # noqa: E731
    monkeypatch.setattr(cluster, "_do", do)
    # dask blames whatever waits on a worker that dies, so nothing may wait behind the object that kills it.
    monkeypatch.setattr(cluster, "_QUEUED_PER_THREAD", 1)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as remote,
        dask_client(remote.scheduler_address, 0) as client,
    ):
        outcomes = {job.uid: outcome for job, outcome in run_jobs(jobs("abxcd"), 5, client, 512)}
    assert outcomes.pop("x").reason == Reason.WORKER_DIED
    assert {uid: outcome.result["uid"] for uid, outcome in outcomes.items()} == dict(
        zip("abcd", "abcd", strict=True)
    )


def test_only_a_few_jobs_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_do", lambda job: Outcome(result={"uid": job.uid}))
    taken = 0

    def source():
        nonlocal taken
        for number in range(60):
            taken += 1
            yield Job(str(number), "render", {}, 1.0)

    ahead = []
    with dask_client("", 2) as client:
        for done, _ in enumerate(run_jobs(source(), 60, client, 512), start=1):
            ahead.append(taken - done)
    assert len(ahead) == taken == 60
    assert max(ahead) <= 2 * cluster._QUEUED_PER_THREAD


def test_two_clusters_of_one_machine_do_not_meet(recwarn: pytest.WarningsRecorder) -> None:
    with dask_client("", 1) as first, dask_client("", 1) as second:
        servers = [client.cluster.scheduler.http_server for client in (first, second)]
    assert {server.address for server in servers} == {"127.0.0.1"}
    assert len({server.port for server in servers}) == 2
    assert not [warning for warning in recwarn if "already in use" in str(warning.message)]


@pytest.fixture
def lonely_scheduler() -> Iterator[str]:
    """A scheduler without workers."""
    with LocalCluster(
        n_workers=0,
        processes=False,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        protocol="tcp://",
        host="127.0.0.1",
        silence_logs=50,
    ) as remote:
        yield remote.scheduler_address


def test_a_scheduler_without_workers_is_told(lonely_scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_FIRST_WORKER_SECONDS", 0.1)
    with (
        pytest.raises(ResourceError, match=r"has had no worker for 0.1 seconds; start some with"),
        scheduler_client(lonely_scheduler),
    ):
        raise AssertionError("work began")


def test_a_worker_without_the_project_is_told(lonely_scheduler: str) -> None:
    code = (
        "import sys; sys.modules['placid_kedro'] = None\n"
        "from distributed.cli.dask_worker import main\n"
        f"main([{lonely_scheduler!r}, '--nthreads', '1', '--no-nanny', '--no-dashboard'])"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        with (
            pytest.raises(
                ResourceError, match=r"The dask worker at tcp://\S+ has no placid_kedro, this machine"
            ),
            scheduler_client(lonely_scheduler),
        ):
            raise AssertionError("work began")
    finally:
        worker.terminate()
        worker.wait()


def test_another_version_on_a_cluster_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "__version__", "9.9")
    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=50,
        ) as remote,
        pytest.raises(
            ResourceError, match=r"The scheduler at \S+ has placid_kedro \d\S+, this machine 9\.9;"
        ),
        scheduler_client(remote.scheduler_address),
    ):
        raise AssertionError("work began")
