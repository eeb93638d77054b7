"""Real processes of `generate` that are recorded in one new MLflow database: together, interrupted, killed, shut out.

    python benchmarks/recorded_runs.py

First runs start together; two want the same folder; SIGTERM, SIGHUP, SIGINT and SIGKILL fall in the middle; another
program locks the database for good. Prints a line for each and exits with 1 when a process ends otherwise than it
should, or MLflow holds another state of a run.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GO_ON = "--only-missing-outputs"
PATIENCE = 900.0  # seconds until a process counts as hanging
TOGETHER = 3


def new_project(folder: Path) -> Path:
    """A copy of the project with the repository's models and no results."""
    shutil.copytree(ROOT / "src", folder / "src")
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "models").symlink_to(ROOT / "models")
    return folder


def start(project: Path, seed: int) -> subprocess.Popen[str]:
    """A recorded run at the test sizes."""
    parameters = f"prompt=a teddy bear,seed={seed},init.source.kind=sphere,tracking.enabled=true"
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "placid_kedro",
            "--env",
            "test",
            "--pipeline",
            "generate",
            "--params",
            parameters,
        ],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and last line of a process; one that hangs is killed."""
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    lines = said.strip().splitlines() or [""]
    return process.returncode, lines[-1]


def states(project: Path) -> list[str]:
    """States of all runs in the database, oldest first; none while it is being made."""
    if not (project / "mlflow.db").is_file():
        return []
    with closing(sqlite3.connect(project / "mlflow.db", timeout=60)) as connection:
        try:
            rows = connection.execute("SELECT status FROM runs ORDER BY start_time").fetchall()
        except sqlite3.OperationalError:
            return []
    return [status for (status,) in rows]


def reach(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something has happened or a process has ended."""
    while not happened() and process.poll() is None:
        time.sleep(0.05)


def report(name: str, **found: tuple[object, object]) -> bool:
    """Print what is not as it should be; whether something was not."""
    wrong = [f"{what} is {is_!r}, not {should!r}" for what, (is_, should) in found.items() if is_ != should]
    print(f"{name}: {'; '.join(wrong) or 'right'}", flush=True)
    return bool(wrong)


def first_runs_together(project: Path) -> bool:
    """Nobody has made the database yet."""
    ended = [end(process) for process in [start(project, seed) for seed in range(TOGETHER)]]
    codes = [code for code, _ in ended]
    return report(
        f"{TOGETHER} first runs together",
        codes=(codes, [0] * TOGETHER),
        said=([said for code, said in ended if code], []),
        states=(states(project), ["FINISHED"] * TOGETHER),
    )


def one_folder(project: Path) -> bool:
    """The second run is told, and is not recorded."""
    before = len(states(project))
    first = start(project, 10)
    reach(lambda: len(states(project)) > before, first)
    code, said = end(start(project, 10))
    return report(
        "two runs, one folder",
        second=(code, 1),
        sentence=("Another run works in" in said, True),
        first=(end(first)[0], 0),
        states=(states(project)[before:], ["FINISHED"]),
    )


def interrupted(project: Path, number: signal.Signals, seed: int) -> bool:
    """A signal falls when the first picture is made; SIGKILL's run is closed by the run after it."""
    before, reports = len(states(project)), project / "data/test/08_reporting"
    process = start(project, seed)
    reach(lambda: (reports / f"a-teddy-bear_seed{seed}" / "reference.png").exists(), process)
    process.send_signal(number)
    code, said = end(process)
    if number is signal.SIGKILL:
        after = end(start(project, seed))[0]
        return report(
            number.name,
            code=(code, -number),
            after=(after, 0),
            states=(states(project)[before:], ["KILLED", "FINISHED"]),
        )
    return report(
        number.name,
        code=(code, 128 + number),
        sentence=(GO_ON in said, True),
        states=(states(project)[before:], ["KILLED"]),
    )


def database_locked(project: Path) -> bool:
    """The objects matter more than their record."""
    seed, reports = 30, project / "data/test/08_reporting"
    process = start(project, seed)
    # Before the first stage a store that cannot be used stops the run.
    reach(lambda: (reports / f"a-teddy-bear_seed{seed}" / "reference.png").exists(), process)
    with closing(sqlite3.connect(project / "mlflow.db", timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, _ = end(process)
    made = reports / f"a-teddy-bear_seed{seed}" / "gaussians.ply"
    return report("the database locked for good", code=(code, 0), made=(made.is_file(), True))


def main() -> int:
    """Run, print, return the exit code."""
    with tempfile.TemporaryDirectory(prefix="recorded-") as folder:
        project = new_project(Path(folder, "project"))
        wrong = [first_runs_together(project), one_folder(project)]
        signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL)
        wrong += [interrupted(project, number, 20 + index) for index, number in enumerate(signals)]
        wrong.append(database_locked(project))
    print(f"{len(wrong)} situations, {sum(wrong)} wrong")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
