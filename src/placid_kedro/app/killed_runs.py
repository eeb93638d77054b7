"""Recorded runs that say that they run, though a kill has ended their process."""

import os
import platform

from placid_kedro.app.tracking_store import Store

PROCESS_TAG = "process"


def this_process() -> str:
    """Machine, number and start of this process: the number alone is given again."""
    return f"{platform.node()} {_name_of(os.getpid())}"


def close_killed_runs(store: Store, experiment_id: str) -> None:
    """Mark as killed what says that it runs, but whose process on this machine is gone."""
    host = platform.node()
    for run in store.call("search_runs", [experiment_id], filter_string="attributes.status = 'RUNNING'"):
        recorded_host, _, process = run.data.tags.get(PROCESS_TAG, "").rpartition(" ")
        if recorded_host == host and process != _name_of(int(process.partition("@")[0])):
            store.call("set_terminated", run.info.run_id, status="KILLED")


def _name_of(number: int) -> str | None:
    """Number and start of a process; None where there is none."""
    import psutil

    try:
        return f"{number}@{psutil.Process(number).create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
