"""Runs of `generate` at the test sizes, each in a process forked from one that has loaded everything.

For `kills.py` and `faults.py`: starting Python would take longer than the run.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "a teddy bear"
RESULTS = (
    "02_intermediate/{}/prompts.json",
    "06_models/{}/lora.safetensors",
    "07_model_output/{}/density.safetensors",
    "07_model_output/{}/distillation.json",
    "07_model_output/{}/initial_gaussians.ply",
    "08_reporting/{}/gaussians.ply",
    "08_reporting/{}/reference.png",
    "08_reporting/{}/turntable.mp4",
    "08_reporting/{}/views.png",
)
LEFT_OVERS = (".tmp-*", ".old-*", ".*.checkpoint", "UNFINISHED.txt")
LONG = {"lora": {"steps": 10}, "bsd_3dgs": {"steps": 12}}  # so that most kills fall into these two
_LOADED = (
    "placid_kedro.app.runners", "placid_kedro.datasets", "placid_kedro.diffusion.lora",
    "placid_kedro.diffusion.novel_view", "placid_kedro.diffusion.text_to_image", "placid_kedro.distillation.splats",
    "placid_kedro.embedded.networks.scorer", "placid_kedro.evaluation", "placid_kedro.latent_plane.sampling",
    "placid_kedro.surface.background", "placid_kedro.surface.initial_points", "imageio_ffmpeg",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (negative: killed by that signal), its last line, and its seconds."""

    code: int
    said: str
    seconds: float


def load_everything() -> None:
    """Call this once, before the first fork; nothing is computed, so no thread has started yet."""
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(ROOT)
    for name in _LOADED:
        importlib.import_module(name)


def new_project(folder: Path) -> Path:
    """A project folder with the repository's models and nothing made yet."""
    folder.mkdir(parents=True)
    (folder / "models").symlink_to(ROOT / "models")
    return folder


def start(
    folder: Path, before: Callable[[], None] | None = None, log: str = "log.txt", **options: Any
) -> int:
    """Fork a run in a project folder and return its process number.

    Args:
        folder: from `new_project`.
        before: called in the new process first, to break something there.
        log: name of the file in the folder that takes what the run says.
        options: parameters of the run, and `only_missing` and `runner`.
    """
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        stream = os.open(folder / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.chdir(folder)
        if before is not None:
            before()
        code = _run(folder, **options)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(folder: Path, only_missing: bool = True, runner: Any = None, **parameters: Any) -> int:
    """As `kedro run` does it: one sentence and 1 for what is foreseen, a traceback and 70 for what is not."""
    import traceback

    from kedro.framework.session import KedroSession

    from placid_kedro.app.failures import sentence_for
    from placid_kedro.app.interrupts import exit_code, signals_as_interrupts
    from placid_kedro.app.runners import StampedRunner

    given = {"prompt": PROMPT, "init": {"source": {"kind": "sphere"}}, **LONG, **parameters}
    try:
        with (
            signals_as_interrupts(),
            KedroSession.create(
                project_path=folder,
                conf_source=str(ROOT / "conf"),
                env="test",
                runtime_params=given,
                save_on_close=False,
            ) as session,
        ):
            session.run(
                pipeline_names=["generate"],
                runner=runner or StampedRunner(),
                only_missing_outputs=only_missing,
            )
    except KeyboardInterrupt as interrupt:
        print("interrupted")
        return exit_code(interrupt)
    except Exception as error:
        sentence = sentence_for(error)
        print(sentence or traceback.format_exc())
        return 70 if sentence is None else 1
    return 0


def wait(process: int, folder: Path, seconds: float = 600.0, log: str = "log.txt") -> Ended:
    """Wait for a run; one that takes longer is killed, and its code is then -9."""
    began = time.monotonic()
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > seconds:
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            break
        time.sleep(0.02)
    lines = (folder / log).read_text(errors="replace").strip().splitlines() or [""]
    return Ended(os.waitstatus_to_exitcode(status), lines[-1], time.monotonic() - began)


def run(folder: Path, log: str = "log.txt", **options: Any) -> Ended:
    """Start a run and wait for it."""
    return wait(start(folder, log=log, **options), folder, log=log)


def results(folder: Path, slug: str = "a-teddy-bear") -> dict[str, bytes]:
    """What a run has made, without the report, which holds times."""
    places = [folder / "data/test" / name.format(slug) for name in RESULTS]
    return {place.name: place.read_bytes() for place in places if place.is_file()}


def left_overs(folder: Path) -> list[str]:
    """What should not lie about after a run that ended well."""
    found = {path for pattern in LEFT_OVERS for path in (folder / "data").rglob(pattern)}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def different(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Names of the results that are missing or have other bytes."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
