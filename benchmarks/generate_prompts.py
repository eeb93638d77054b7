"""Is the object recognisable? Runs `generate` on the twenty prompts of the first release and prints, for each, the rank
of the prompt among all names that the scorer knows (for the finished object and for the Gaussians before distillation)
and the seconds of every stage.

    python benchmarks/generate_prompts.py [--params NAME=VALUE,...] [--jobs 1] [--env base]
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROMPTS = (
    "a teddy bear",
    "a rocking horse",
    "an upright piano",
    "a snowman",
    "a fire hydrant",
    "a cactus",
    "an electric guitar",
    "a dog house",
    "a wheelbarrow",
    "a palm tree",
    "a hamburger",
    "a desk lamp",
    "a wooden chair",
    "a red sofa",
    "a soccer ball",
    "a coffee mug",
    "a bicycle",
    "a refrigerator",
    "a christmas tree",
    "a biplane",
)
TOP = 5


def generate(prompt: str, params: str) -> tuple[dict, float]:
    """Run the pipeline for a prompt; its report and the seconds of the whole command."""
    given = f"prompt={prompt}" + (f",{params}" if params else "")
    started = time.monotonic()
    command = [sys.executable, "-m", "kedro", "run", "--pipeline", "generate", "--params", given]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(
            f"{prompt} FAILED and counts as not recognised: {result.stderr.strip().splitlines()[-1]}",
            flush=True,
        )
        return failed(prompt), time.monotonic() - started
    # `turntable.mp4` tells the folders of prompts from other pipelines' reports.
    paths = [
        path
        for path in Path("data/08_reporting").glob("*/report.json")
        if (path.parent / "turntable.mp4").exists()
    ]
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return next(report for report in reports if report["prompt"] == prompt), time.monotonic() - started


def failed(prompt: str) -> dict:
    """The report of a run that made no object: it ranks behind every name."""
    nowhere = {"rank": math.inf, "of": "all", "best": [{"name": "(no object)"}]}
    return {"prompt": prompt, "retrieval": nowhere, "retrieval_of_start": nowhere, "stage_seconds": {}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--params", default="", help="further parameters of each run")
    parser.add_argument(
        "--jobs", type=int, default=1, help="runs at a time; more than one spoils the seconds"
    )
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda prompt: generate(prompt, options.params), PROMPTS))
    stages = sorted({stage for report, _ in results for stage in report["stage_seconds"]})
    print("| prompt | rank | before distillation | best name | seconds | " + " | ".join(stages) + " |")
    print("|---|---|---|---|---|" + "---|" * len(stages))
    for report, seconds in results:
        retrieval, start = report["retrieval"], report["retrieval_of_start"]
        times = " | ".join(f"{report['stage_seconds'].get(stage, 0):.0f}" for stage in stages)
        best = retrieval["best"][0]["name"]
        print(
            f"| {report['prompt']} | {retrieval['rank']} | {start['rank']} | {best} | {seconds:.0f} | {times} |"
        )
    for label, key in (("finished", "retrieval"), ("before distillation", "retrieval_of_start")):
        ranks = [report[key]["rank"] for report, _ in results]
        hits = sum(rank <= TOP for rank in ranks)
        print(
            f"{label}: top {TOP} in {hits} of {len(ranks)}, median rank {statistics.median(ranks):.0f}",
            end=" ",
        )
        print(f"of {results[0][0][key]['of']} names")


if __name__ == "__main__":
    main()
