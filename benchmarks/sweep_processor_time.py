"""Processor time of a sweep's objects, in the stages' nodes and beside them; other programs change it little.

    python benchmarks/sweep_processor_time.py --params "ablation.prompts=[a cactus],ablation.name=time"

The objects are made here, one after the other, as a worker makes them; `sweep_overhead.py` has the wall time of a real
sweep. What was made before is not made again: take another name, or delete the sweep's folders.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline.node import Node

from placid_kedro.app.hooks import source_of
from placid_kedro.app.run_record import RunRecord
from placid_kedro.app.runtime_params import parse_params
from placid_kedro.app.sweep.plan import plan_cells
from placid_kedro.app.sweep.worker import Sweep, run_cell
from placid_kedro.app.tracking import start_run
from placid_kedro.config.check import check_parameters


@contextmanager
def nodes_timed() -> Iterator[list[float]]:
    """Processor seconds of each node that runs meanwhile, all threads together."""
    seconds: list[float] = []
    run = Node.run

    def timed(node: Node, inputs: Any = None) -> Any:
        started = time.process_time()
        try:
            return run(node, inputs)
        finally:
            seconds.append(time.process_time() - started)

    with patch.object(Node, "run", timed):
        yield seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env")
    parser.add_argument("--params", default="")
    given = parser.parse_args()
    project = bootstrap_project(Path(__file__).parents[1]).project_path
    with KedroSession.create(project, env=given.env, runtime_params=parse_params(given.params)) as session:
        source = source_of(session.load_context())
    parameters = check_parameters(source.parameters)
    ablation = parameters.ablation
    record = RunRecord(f"sweep {ablation.name}", values={}, tags={})
    tracker = start_run(parameters.tracking, project, record)
    sweep = Sweep(ablation.name, ablation.variants, "generate", source, tracker.run_id)
    inside, beside = 0.0, 0.0
    for cell in plan_cells(source, ablation, pipelines["generate"]):
        started = time.process_time()
        with nodes_timed() as nodes:
            result = run_cell(sweep, cell)
        rest = time.process_time() - started - sum(nodes)
        print(f"{cell.label:40} {result.status}: nodes {sum(nodes):6.2f} s, beside them {rest:5.2f} s")
        inside, beside = inside + sum(nodes), beside + rest
    tracker.end("FINISHED")
    print(f"overhead beside the nodes: {beside / inside:.1%} of their processor time")


if __name__ == "__main__":
    main()
