"""How fast objects become training data: rendering an hour and core, scaling, and what the pipeline adds.

    python benchmarks/prepare.py --furniture /usr/share/sweethome3d/furniture [--objects 20]

Prints a table. Rendering is measured in one process (CPU seconds, so that a busy machine does not count) on furniture
that is spread over the libraries; scaling in wall time on one and two workers of the cluster, start-up excluded.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import torch
import yaml

from placid_kedro.files import file_hash
from placid_kedro.objects.cluster import Job, dask_client, run_jobs
from placid_kedro.objects.config import RenderParameters, SweetHome3dSource
from placid_kedro.objects.ingest import convert_furniture
from placid_kedro.objects.render_stage import RenderPlan
from placid_kedro.objects.tasks import render

SYNCDREAMER_AUTHORS = 300  # objects an hour on a V100
TARGET = 1000
PARAMETERS = Path(__file__).parents[1] / "conf/base/parameters_prepare.yml"


def plan_in(folder: Path) -> RenderPlan:
    """The protocol of `conf/base` with another place for the views."""
    text = PARAMETERS.read_text().replace("${globals:data_root}", str(folder))
    return RenderPlan(RenderParameters.model_validate(yaml.safe_load(text)["syncdreamer_render"]), seed=0)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--furniture", default="/usr/share/sweethome3d/furniture")
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--scaling", action="store_true", help="measure one and two workers, too")
    options = parser.parse_args()
    models = [model for model in _spread(options.furniture, options.objects)]
    with tempfile.TemporaryDirectory() as scratch:
        started = _cpu()
        records = convert_furniture(models, Path(scratch) / "glb", workers=1)
        conversion = _cpu() - started
        plan = plan_in(Path(scratch))
        jobs = [plan.job(record.uid, record.path, file_hash(Path(record.path))) for record in records]
        rate = one_core(jobs)
        megabytes = sum(plan.views_path(job.uid).stat().st_size for job in jobs) / 2**20
        seconds = 3600 / rate
        print(f"{'objects':44}{len(jobs)}")
        print(f"{'rendered an hour and core':44}{rate:.0f}  ({rate / TARGET:.2f} x the target of {TARGET})")
        print(f"{'against SyncDreamer on a V100':44}{rate / SYNCDREAMER_AUTHORS:.1f} x")
        print(f"{'CPU seconds an object, rendering':44}{seconds:.2f}")
        print(f"{'conversion to GLB and its start-up':44}{conversion:.1f} CPU seconds for all")
        print(f"{'views on disk, MiB for 1000 objects':44}{1000 * megabytes / len(jobs):.0f}")
        if options.scaling:
            alone, together = (cluster_seconds(jobs, workers) for workers in (1, 2))
            print(f"{'two workers against one':44}{alone / together:.2f} x on {os.cpu_count()} cores")
    print(
        f"{'memory of the main process, MiB':44}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f}"
    )


def _spread(folder: str, count: int) -> list:
    from placid_kedro.objects.sweethome3d import list_furniture

    models = list_furniture(SweetHome3dSource(folder=folder, libraries=(), count=0))
    return models[:: max(1, len(models) // count)][:count]


def _cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
