"""What the rasterizer and a network's layer cost while other programs want the processors too.

    python benchmarks/busy_machine.py [--competitors 2] [--repeats 30]

Starts as many programs that compute without end, then times one forward and backward pass of the rasterizer and twenty
convolutions, in a fresh process each: with OpenMP's threads spinning between two pieces of work, as OpenMP does by
itself, and with the setting that this package makes. Prints medians and their ratio.
Target: with the setting at most half the time of spinning threads, where two programs compete for two processors.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

TARGET = 2.0
SETTINGS = {"spinning threads": {"OMP_WAIT_POLICY": "ACTIVE"}, "as this package sets": {}}
COMPETITOR = "while True: pass"
MEASURED = """
import json, statistics, sys, time
import torch
from rasterizer import hollow_ball, step
from placid_kedro.splats import rasterization

repeats = int(sys.argv[1])
leaves = hollow_ball(10_000)
step(rasterization, leaves, 1, 128)
render = [step(rasterization, leaves, 1, 128) for _ in range(repeats)]
layer, image = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(1, 64, 64, 64)
convolve = []
for _ in range(repeats):
    start = time.perf_counter()
    with torch.no_grad():
        for _ in range(20):
            layer(image)
    convolve.append(time.perf_counter() - start)
print(json.dumps([statistics.median(render), statistics.median(convolve), torch.get_num_threads()]))
"""


def measure(setting: dict[str, str], repeats: int) -> list[float]:
    """Median seconds of rendering and of the layers, and torch's threads, in a process with these variables."""
    taken = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in taken}
    # `placid_kedro` comes before torch: its setting counts.
    program = "import placid_kedro\n" + MEASURED
    folder = str(Path(__file__).parent)
    result = subprocess.run(
        [sys.executable, "-c", program, str(repeats)],
        env={**environment, **setting, "PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: list[float] = json.loads(result.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--competitors", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    competitors = [
        subprocess.Popen([sys.executable, "-S", "-c", COMPETITOR]) for _ in range(arguments.competitors)
    ]
    try:
        measured = {name: measure(setting, arguments.repeats) for name, setting in SETTINGS.items()}
    finally:
        for competitor in competitors:
            competitor.kill()
            competitor.wait()
    print(f"{os.cpu_count()} processors, {arguments.competitors} other program(s)")
    print(f"{'':24}{'rasterizer ms':>16}{'layers ms':>12}{'threads':>10}")
    for name, (render, layers, threads) in measured.items():
        print(f"{name:24}{1e3 * render:>16.1f}{1e3 * layers:>12.1f}{threads:>10.0f}")
    spinning, passive = (measured[name] for name in SETTINGS)
    ratios = [before / after for before, after in zip(spinning[:2], passive[:2], strict=True)]
    verdict = "reached" if min(ratios) >= TARGET else "missed"
    print(
        f"spinning threads take {ratios[0]:.1f} and {ratios[1]:.1f} times as long: target {TARGET:g} {verdict}"
    )


if __name__ == "__main__":
    main()
