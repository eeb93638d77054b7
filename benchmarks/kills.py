"""Kills `generate` at random moments and goes on.

    python benchmarks/kills.py [--kills 200] [--seed 0] [--signal KILL]

A run is killed again and again, each time after a random part of the time that it takes unbroken, until it comes
through; then every result must have the bytes of a run that nobody disturbed, and nothing may be left over. Prints a
line an object and the sums; exits with 1 when one is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from forked_runs import different, left_overs, load_everything, new_project, results, run, start, wait

PATIENCE = 12  # kills of one object, after which it may come through


def one_object(
    folder: Path, seconds: float, kills: int, number: int, rng: random.Random
) -> tuple[int, list[str]]:
    """Make one object under kills; how many fell, and what was wrong on the way."""
    wrong, fell = [], 0
    while True:
        process = start(folder)
        if fell < kills:
            time.sleep(rng.uniform(0.0, seconds))
            with suppress(ProcessLookupError):  # it had ended by itself
                os.kill(process, number)
        ended = wait(process, folder)
        if ended.code == 0:
            return fell, wrong
        if ended.code in (-number, 128 + number):
            fell += 1
        else:
            return fell, [*wrong, f"ended with {ended.code}: {ended.said}"]


def main() -> int:
    """Run, print, return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", choices=["KILL", "TERM", "HUP", "INT"], default="KILL")
    options = parser.parse_args()
    rng, number = random.Random(options.seed), getattr(signal, f"SIG{options.signal}")
    load_everything()
    root = Path(tempfile.mkdtemp(prefix="kills-"))
    # Kernels that are compiled now round otherwise than those that are read back: the second run counts.
    run(new_project(root / "warm"))
    ended = run(new_project(root / "unbroken"))
    if ended.code:
        print(f"The undisturbed run failed: {ended.said}")
        return 1
    expected, kills, objects, faults = results(root / "unbroken"), 0, 0, 0
    print(f"unbroken: {ended.seconds:.1f} s, {len(expected)} results", flush=True)
    while kills < options.kills:
        folder = new_project(root / f"object-{objects}")
        allowed = min(PATIENCE, options.kills - kills)
        fell, wrong = one_object(folder, ended.seconds, allowed, number, rng)
        wrong += [f"{name} has other bytes" for name in different(results(folder), expected)]
        wrong += [f"{name} is left over" for name in left_overs(folder)]
        kills, objects, faults = kills + fell, objects + 1, faults + bool(wrong)
        print(
            f"object {objects}: {fell} kills, {'; '.join(wrong) or 'the bytes of an unbroken run'}",
            flush=True,
        )
        if not wrong:
            shutil.rmtree(folder)
    print(f"{kills} kills by SIG{options.signal}, {objects} objects, {faults} wrong")
    if not faults:
        shutil.rmtree(root)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
