"""How fast objects become training data: rendering an hour and core, scaling, and what the pipeline adds.

    python benchmarks/prepare.py --furniture /usr/share/sweethome3d/furniture [--objects 20] [--scaling]
    python benchmarks/prepare.py --furniture ... --pipeline 50 500 [--workers 2] [--folder kept]
    python benchmarks/prepare.py --dispatch 500 5000

Prints tables. The first form measures rendering in one process (CPU seconds, so that a busy machine does not count)
on furniture that is spread over the libraries, and scaling in wall time on one and two workers of the cluster,
start-up excluded. The second runs the three stages as a user does, `kedro run` in a process of its own with MLflow's
record, on the first 50 and the first 500 objects, and compares the wall time with the seconds in which the workers
rendered. It wants a machine without other load. The third hands out jobs that do nothing, in place of rendering, and
shows the main process's memory and CPU time a job.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from placid_kedro.files import file_hash
from placid_kedro.objects import cluster
from placid_kedro.objects.cluster import Job, dask_client, run_jobs
from placid_kedro.objects.config import RenderParameters, SweetHome3dSource
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.ingest import convert_furniture
from placid_kedro.objects.isolation import Outcome
from placid_kedro.objects.render_stage import RenderPlan
from placid_kedro.objects.sweethome3d import FurnitureModel, list_furniture
from placid_kedro.objects.tasks import render

SYNCDREAMER_AUTHORS = 300  # objects an hour on a V100
TARGET = 1000
REPOSITORY = Path(__file__).absolute().parents[1]
STAGES = "objaverse_ingest,syncdreamer_render,filter"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class PipelineRun:
    """One `kedro run` of the stages.

    Attributes:
        objects: in the table.
        rendered: of them, in this run.
        wall: seconds from the command to its end.
        render: seconds in which workers rendered, all of them together.
        convert: seconds in which workers converted furniture to GLB.
        main_cpu: CPU seconds of the main process.
        main_mib: largest resident memory of the main process.
        training_set: the finished set.
    """

    objects: int
    rendered: int
    wall: float
    render: float
    convert: float
    main_cpu: float
    main_mib: float
    training_set: Path


def plan_in(folder: Path) -> RenderPlan:
    """The protocol of `conf/base` with another place for the views."""
    text = (REPOSITORY / "conf/base/parameters_prepare.yml").read_text()
    groups = yaml.safe_load(text.replace("${globals:data_root}", str(folder)))
    return RenderPlan(RenderParameters.model_validate(groups["syncdreamer_render"]), seed=0)


def one_core(jobs: list[Job]) -> float:
    """Objects an hour and core."""
    torch.set_num_threads(1)
    render(jobs[0].arguments)  # imports and first calls
    started = time.process_time()
    for job in jobs:
        render(job.arguments)
    return 3600 * len(jobs) / (time.process_time() - started)


def cluster_seconds(jobs: list[Job], workers: int) -> float:
    """Wall time for the jobs on a cluster whose processes have started."""
    with dask_client("", workers) as client:
        list(run_jobs(jobs[:workers], workers, client, 4096))
        started = time.monotonic()
        list(run_jobs(jobs, len(jobs), client, 4096))
        return time.monotonic() - started


def rendering(options: argparse.Namespace) -> None:
    """Rendering alone."""
    with tempfile.TemporaryDirectory() as scratch:
        started = _cpu()
        records = convert_furniture(_spread(options), Path(scratch) / "glb", workers=1)
        conversion = _cpu() - started
        plan = plan_in(Path(scratch))
        jobs = [
            plan.job(record.uid, record.path, file_hash(Path(record.path)))
            for record in records
            if record.path
        ]
        rate = one_core(jobs)
        megabytes = sum(plan.views_path(job.uid).stat().st_size for job in jobs) / 2**20
        _line("objects", f"{len(jobs)}")
        _line("rendered an hour and core", f"{rate:.0f}  ({rate / TARGET:.2f} x the target of {TARGET})")
        _line("against SyncDreamer on a V100", f"{rate / SYNCDREAMER_AUTHORS:.1f} x")
        _line("CPU seconds an object, rendering", f"{3600 / rate:.2f}")
        _line("conversion to GLB and its start-up", f"{conversion:.1f} CPU seconds for all")
        _line("views on disk, MiB for 1000 objects", f"{1000 * megabytes / len(jobs):.0f}")
        if options.scaling:
            alone, together = (cluster_seconds(jobs, workers) for workers in (1, 2))
            _line("one worker, two workers", f"{alone:.1f} s, {together:.1f} s wall")
            _line("two workers against one", f"{alone / together:.2f} x on {os.cpu_count()} cores")


def run_pipeline(options: argparse.Namespace, count: int, folder: Path) -> PipelineRun:
    """The stages on the first objects of the furniture, everything they write below `folder`."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "conf"
    shutil.copytree(REPOSITORY / "conf", conf, dirs_exist_ok=True)
    shared = yaml.safe_load((conf / "base/globals.yml").read_text()) | {"data_root": str(folder / "data")}
    (conf / "base/globals.yml").write_text(yaml.safe_dump(shared))
    store = f"sqlite:///{folder / 'mlflow.db'}"
    parameters = {
        "objaverse_ingest.sources": "sweethome3d",
        "objaverse_ingest.sweethome3d.folder": Path(options.furniture).absolute(),
        "objaverse_ingest.sweethome3d.count": count,
        "objaverse_ingest.workers": options.workers,
        "syncdreamer_render.cluster.workers": options.workers,
        "syncdreamer_render.protocol.size": options.size,
    }
    command = [sys.executable, "-m", "kedro", "run", "--conf-source", str(conf), "--pipelines", STAGES]
    command += ["--params", ",".join(f"{name}={value}" for name, value in parameters.items())]
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=os.environ | {"MLFLOW_TRACKING_URI": store}, stdout=subprocess.DEVNULL
    )
    ticks, kib = 0, 0
    while process.poll() is None:
        ticks, kib = _usage(process.pid) or (ticks, kib)
        time.sleep(_POLL_SECONDS)
    wall = time.monotonic() - started
    if process.returncode:
        sys.exit(f"kedro ended with status {process.returncode}")
    render_count, render_seconds = _worker_seconds(store, "render")
    _, convert_seconds = _worker_seconds(store, "convert")
    training_set = folder / "data/05_model_input/training_set"
    return PipelineRun(
        objects=count,
        rendered=render_count,
        wall=wall,
        render=render_seconds,
        convert=convert_seconds,
        main_cpu=ticks / os.sysconf("SC_CLK_TCK"),
        main_mib=kib / 2**10,
        training_set=training_set,
    )


def _worker_seconds(store: str, name: str) -> tuple[int, float]:
    """Objects of the newest run that workers handled, and the seconds this took them together."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, order_by=["attributes.start_time DESC"], max_results=1)
    history = client.get_metric_history(run.info.run_id, f"{name}/seconds_an_object")
    if not history:
        return 0, 0.0
    last = max(history, key=lambda metric: metric.step)
    return last.step, last.step * last.value


def _usage(pid: int) -> tuple[int, int] | None:
    """CPU time in ticks and largest resident memory in KiB of a running process; None once it is gone."""
    try:
        # After the name, which may hold blanks, fields 14 and 15 of proc(5) are utime and stime.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12]), int(peak[1])) if peak else None


def pipeline(options: argparse.Namespace) -> None:
    """The stages as a user runs them."""
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for count in options.pipeline:
            run = run_pipeline(options, count, Path(options.folder or scratch) / str(count))
            runs.append(run)
            busy, converting = run.render / options.workers, run.convert / options.workers
            rest = run.wall - busy - converting
            _line("objects, of which rendered", f"{run.objects}, {run.rendered}")
            _line("wall", f"{run.wall:.1f} s with {options.workers} workers")
            _line("rendering", f"{busy:.1f} s a worker")
            _line(
                "converting furniture",
                f"{converting:.1f} s a worker, {converting / run.wall:.1%} of the wall time",
            )
            _line("all the rest", f"{rest:.1f} s, {rest / run.wall:.1%} of the wall time")
            _line("main process", f"{run.main_cpu:.1f} CPU seconds, {run.main_mib:.0f} MiB at most")
            print()
        first, last = runs[0], runs[-1]
        if len(runs) > 1:
            growth = (last.main_mib - first.main_mib) / (last.objects - first.objects)
            _line("memory of the main process for one more object", f"{1024 * growth:.1f} KiB")
        reading(last.training_set)


def dispatch(options: argparse.Namespace) -> None:
    """The main process's share of a job, the job itself left out."""
    cluster._do = lambda job: Outcome(result={"uid": job.uid})
    with tempfile.TemporaryDirectory() as scratch:
        plan = plan_in(Path(scratch))
        last = max(options.dispatch)
        jobs = (plan.job(f"object-{number}", "/objects/object.glb", "0" * 64) for number in range(last))
        with dask_client("", options.workers) as client:
            started = time.process_time()
            for done, (job, outcome) in enumerate(run_jobs(jobs, last, client, 4096), start=1):
                plan.record(job, outcome)
                if done in options.dispatch:
                    each = 1000 * (time.process_time() - started) / done
                    _line(
                        f"after {done} jobs", f"{_resident_mib():.1f} MiB, {each:.1f} CPU milliseconds a job"
                    )


def reading(training_set: Path) -> None:
    """What it takes to go through a finished set."""
    objects = RenderedObjects.open(training_set)
    before = _peak_mib()
    files = 0
    for index in range(len(objects)):
        objects.read(index, [0, 16])
        files = max(files, len(os.listdir("/proc/self/fd")))
    _line("reading two views of each object", f"{len(objects)} objects, {_peak_mib() - before:.0f} MiB more")
    _line("open files of the reader", f"{files}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--furniture", default="/usr/share/sweethome3d/furniture")
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--scaling", action="store_true", help="measure one and two workers, too")
    parser.add_argument("--pipeline", type=int, nargs="+", help="run the stages on so many objects")
    parser.add_argument("--dispatch", type=int, nargs="+", help="hand out so many jobs that do nothing")
    parser.add_argument("--size", type=int, default=256, help="pixels; small where only memory is measured")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", help="keep what the stages write here; a second call goes on")
    options = parser.parse_args()
    if options.pipeline:
        pipeline(options)
    elif options.dispatch:
        dispatch(options)
    else:
        rendering(options)


def _line(name: str, value: str) -> None:
    print(f"{name:48}{value}", flush=True)


def _spread(options: argparse.Namespace) -> list[FurnitureModel]:
    models = list_furniture(SweetHome3dSource(folder=options.furniture, libraries=(), count=0))
    return models[:: max(1, len(models) // options.objects)][: options.objects]


def _cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
