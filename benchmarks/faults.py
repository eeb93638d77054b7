"""Breaks one thing at a time in a run of `generate`.

    python benchmarks/faults.py [--only WORD] [--limit 60] [--shuffle SEED]

Full disk at each file, no memory in each stage, NaN in each loop, damaged weights, damaged artifacts, runs that
overlap, signals, an MLflow that cannot be used: each run must end within 30 s over its usual time, with one sentence,
and leave no wrong file; and the run after it, without the fault, must end with the bytes of an undisturbed one. Prints
a line a fault and the sums; exits with 1 when one is wrong.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from forked_runs import (
    ROOT,
    Ended,
    different,
    left_overs,
    load_everything,
    new_project,
    results,
    run,
    start,
    wait,
)

STAGES = {
    "reference": "placid_kedro.diffusion.text_to_image.sample_images",
    "multiview": "placid_kedro.latent_plane.sampling.sample_views",
    "init": "placid_kedro.surface.initial_points.gaussians_of",
    "lora": "placid_kedro.diffusion.lora.fine_tune",
    "bsd_3dgs": "placid_kedro.distillation.splats.distill",
    "t3bench_eval": "placid_kedro.evaluation.rank_of_prompt",
}
NETWORKS = (
    "text_to_image/unet", "text_to_image/vae", "zero123/unet", "zero123/lifted_reference", "latent_plane/latent_plane",
    "scorer/scorer",
)  # fmt: skip
ARTIFACTS = (
    "02_intermediate/a-teddy-bear/prompts.json", "08_reporting/a-teddy-bear/reference.png",
    "08_reporting/a-teddy-bear/views.png", "07_model_output/a-teddy-bear/density.safetensors",
    "07_model_output/a-teddy-bear/initial_gaussians.ply", "06_models/a-teddy-bear/lora.safetensors",
    "08_reporting/a-teddy-bear/gaussians.ply",
)  # fmt: skip
HANGS = 30.0  # seconds over the usual ones after which a run hangs
RENAMES = 20  # files and stamps that a run writes, roughly


@dataclass(frozen=True)
class Fault:
    """before: breaks something in the run's process; prepare: in its folder, after an undisturbed run where `again`.

    codes: the exit codes that are right. options: of the run.
    """

    name: str
    before: Callable[[], None] | None = None
    prepare: Callable[[Path], None] | None = None
    again: bool = False
    codes: tuple[int, ...] = (1,)
    options: dict[str, Any] = field(default_factory=dict)
    signal: int | None = None


def at_call(target: str, number: int, error: BaseException) -> Callable[[], None]:
    """The `number`-th call of a function raises."""

    def patch() -> None:
        module, name = target.rsplit(".", 1)
        real, calls = getattr(sys.modules[module], name), [0]

        def broken(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                raise error
            return real(*arguments, **named)

        mock.patch(target, broken).start()

    return patch


def nan_from(step: int) -> Callable[[], None]:
    """Every UNet answers NaN from its `step`-th call on."""

    def patch() -> None:
        from diffusers import UNet2DConditionModel

        real, calls = UNet2DConditionModel.forward, [0]

        def broken(self: Any, *arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            answer = real(self, *arguments, **named)
            if calls[0] < step:
                return answer
            return (
                tuple(part * float("nan") for part in answer) if isinstance(answer, tuple) else _nan(answer)
            )

        UNet2DConditionModel.forward = broken

    return patch


def _nan(answer: Any) -> Any:
    answer.sample = answer.sample * float("nan")
    return answer


def with_models(change: Callable[[Path], None], network: str) -> Callable[[Path], None]:
    """The project gets its own copy of the models, with one file changed."""

    def prepare(folder: Path) -> None:
        (folder / "models").unlink()
        shutil.copytree(ROOT / "models", folder / "models")
        change(next((folder / "models" / network).glob("*.safetensors")))

    return prepare


def flip(path: Path) -> None:
    """Turn the highest bit of an exponent in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[(len(content) // 2) | 1] ^= 0x40
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Keep half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged(name: str, change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Change an artifact behind the project's back."""
    return lambda folder: change(folder / "data/test" / name)


def faults() -> Iterator[Fault]:
    """All of them."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for number in range(1, RENAMES + 1, 2):
        yield Fault(f"disk full at file {number}", at_call("placid_kedro.files._to_disk", 2 * number, full))
    for stage, target in STAGES.items():
        yield Fault(f"no memory in {stage}", at_call(target, 1, MemoryError()))
    for step in (1, 2, 3, 4, 5, 9, 14, 15, 18):
        yield Fault(f"NaN from call {step} of a UNet on", nan_from(step))
    for network in NETWORKS:
        for word, change in (("a flipped bit", flip), ("half a file", cut), ("no file", Path.unlink)):
            yield Fault(f"{word} in {network}", prepare=with_models(change, network))
    for name in ARTIFACTS:
        yield Fault(f"half of {name}", prepare=damaged(name, cut), again=True, codes=(0,))
    yield Fault("ThreadRunner", options={"runner": "ThreadRunner"})
    losses = {"guidance": 1e308, "colour_variation": 1.0, "depth_variation": 1.0, "scale": 1.0}
    yield Fault("a loss of 1e308", options={"bsd_3dgs": {"steps": 12, "losses": losses}})
    yield Fault("a learning rate of 1e30", options={"lora": {"steps": 10, "learning_rate": 1e30}})
    for uri in ("http://127.0.0.1:9", "sqlite:////proc/nothing/mlflow.db"):
        tracking = {"enabled": True, "uri": uri, "timeout_seconds": 2}
        yield Fault(f"MLflow at {uri}", options={"tracking": tracking})
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL):
        name = signal.Signals(number).name
        yield Fault(name, codes=(-number, 128 + number), signal=number)
    yield Fault("another run in the same folders", codes=(1,), options={"overlap": True})


def break_run(fault: Fault, folder: Path, usual: float) -> Ended:
    """The run with the fault."""
    options = dict(fault.options)
    if options.pop("overlap", False):
        first = start(folder, log="first.txt")
        while not (folder / "data/test/08_reporting/.a-teddy-bear.lock").exists():
            time.sleep(0.01)
        second = run(folder, log="second.txt")
        wait(first, folder, log="first.txt")
        return second
    if "runner" in options:
        import kedro.runner

        options["runner"] = getattr(kedro.runner, options["runner"])()
    process = start(folder, fault.before, **options)
    if fault.signal is not None:
        half_way = folder / "data/test/07_model_output/a-teddy-bear/initial_gaussians.ply"
        while not half_way.exists():
            time.sleep(0.01)
        os.kill(process, fault.signal)
    return wait(process, folder, usual + HANGS)


def try_fault(fault: Fault, root: Path, good: Path, usual: float) -> bool:
    """Break a run, mend it, run again; whether something was wrong, which is printed."""
    expected, folder = results(good), new_project(root / fault.name.replace("/", "-").replace(" ", "-"))
    if fault.again:
        shutil.copytree(good / "data", folder / "data")
    if fault.prepare is not None:
        fault.prepare(folder)
    ended = break_run(fault, folder, usual)
    wrong = []
    if ended.code not in fault.codes or not ended.said:
        wrong.append(f"ended with {ended.code}")
    made = results(folder)
    wrong += [f"left wrong {name}" for name in different(made, {name: expected[name] for name in made})]
    if not (folder / "models").is_symlink():
        shutil.rmtree(folder / "models")
        (folder / "models").symlink_to(ROOT / "models")
    after = run(folder)
    if after.code:
        wrong.append(f"the run after it ended with {after.code}: {after.said}")
    wrong += [f"then has other bytes in {name}" for name in different(results(folder), expected)]
    wrong += [f"then has left over {name}" for name in left_overs(folder)]
    print(
        f"{fault.name}: {'; '.join(wrong) or 'right'} | {ended.code}, {ended.seconds:.0f} s: {ended.said}",
        flush=True,
    )
    if not wrong:
        shutil.rmtree(folder)
    return bool(wrong)


def main() -> int:
    """Run, print, return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--shuffle", type=int, help="take them in an order made by chance from this seed")
    options = parser.parse_args()
    load_everything()
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    # Kernels that are compiled now round otherwise than those that are read back: the second run counts.
    run(new_project(root / "warm"))
    good = new_project(root / "good")
    ended = run(good)
    if ended.code:
        print(f"The undisturbed run failed: {ended.said}")
        return 1
    chosen = [fault for fault in faults() if options.only in fault.name]
    if options.shuffle is not None:
        random.Random(options.shuffle).shuffle(chosen)
    chosen = chosen[: options.limit]
    wrong = sum(try_fault(fault, root, good, ended.seconds) for fault in chosen)
    print(f"{len(chosen)} faults, {wrong} wrong")
    if not wrong:
        shutil.rmtree(root)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
