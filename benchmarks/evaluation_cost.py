"""What does T3Bench's whole protocol cost for one object, as the pipeline `evaluate` measures it?

    python benchmarks/evaluation_cost.py data/08_reporting/a-cactus/gaussians.ply "a cactus"

162 poses in five fields of view and twelve for the captions, at 512 px, with the scorers of conf/base. Prints seconds
on the clock and of the processor: beside other programs the second is what the object needs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.config.check import check_parameters
from placid_kedro.pipelines.loading import start
from placid_kedro.pipelines.scorers import load_scorers, measure_gaussians
from placid_kedro.splats import load_ply

CONF = Path(__file__).absolute().parents[1] / "conf"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gaussians", type=Path)
    parser.add_argument("prompt")
    given = parser.parse_args()
    parameters = check_parameters(
        RunConfigLoader(str(CONF), env="base", base_env="base", default_run_env="base")["parameters"]
    )
    device, evaluate = start(parameters.run), parameters.evaluate
    scorers = load_scorers(evaluate.scores, parameters.models.scorer, {}, device)
    gaussians = load_ply(given.gaussians, axes=evaluate.axes).to(device)
    # Not of the object: what is compiled and read once.
    few = evaluate.scores.model_copy(update={"subdivisions": 0})
    measure_gaussians(gaussians, given.prompt, scorers, few, 0, evaluate.half_edge)
    clock, processor = time.perf_counter(), time.process_time()
    scores = measure_gaussians(
        gaussians, given.prompt, scorers, evaluate.scores, 0, evaluate.half_edge
    ).scores
    print(f"{len(gaussians.means)} Gaussians, {torch.get_num_threads()} threads:", end=" ")
    print(
        f"{time.perf_counter() - clock:.1f} s on the clock, {time.process_time() - processor:.1f} s of the processor"
    )
    print(", ".join(f"{name} {value:.2f}" for name, value in scores.items()))


if __name__ == "__main__":
    main()
