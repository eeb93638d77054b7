"""A job that hangs, crashes or eats memory costs itself only."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh

from placid_kedro.errors import ResourceError
from placid_kedro.files import file_hash
from placid_kedro.objects import worker
from placid_kedro.objects.config import RenderParameters
from placid_kedro.objects.glb import write_glb
from placid_kedro.objects.isolation import IsolatedProcess, Outcome, worker_command
from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import Part
from placid_kedro.rendering.surfaces import Paint, Surface, Texture

# A worker without the heavy imports of the real one.
SCRIPT = """
import json, os, signal, subprocess, sys, time
print(json.dumps({"ready": os.getpid()}), flush=True)
for line in sys.stdin:
    job = json.loads(line)
    if job["task"] == "hang":
        child = subprocess.Popen(["sleep", "600"])
        open(job["arguments"]["pid_file"], "w").write(str(child.pid))
        time.sleep(600)
    if job["task"] == "computes":
        while time.process_time() < job["arguments"]["seconds"]:
            pass
    if job["task"] == "starts another":
        subprocess.run([sys.executable, "-S", "-c", "while True: pass"])
    if job["task"] == "stopped":
        # Others have the processor: this process waits with its work undone, and goes on now and then.
        end = time.process_time() + job["arguments"]["seconds"]
        while time.process_time() < end:
            time.sleep(0.02)
            start = time.process_time()
            while time.process_time() < start + 0.01:
                pass
    if job["task"] == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job["task"] == "raise":
        raise ValueError("two\\nlines")
    if job["task"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"result": {"pid": os.getpid(), **job["arguments"]}}), flush=True)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[IsolatedProcess]:
    (tmp_path / "worker.py").write_text(SCRIPT)
    process = IsolatedProcess([sys.executable, "-S", str(tmp_path / "worker.py")])
    yield process
    process.close()


def test_one_process_does_many_jobs(process: IsolatedProcess) -> None:
    first, second = (process.run("work", {"text": "x" * 200_000}, 30.0) for _ in range(2))
    assert first.result["pid"] == second.result["pid"]
    assert first.result["text"] == "x" * 200_000


def test_a_job_that_hangs_ends_with_everything_it_started(process: IsolatedProcess, tmp_path: Path) -> None:
    started = time.monotonic()
    outcome = process.run("hang", {"pid_file": str(tmp_path / "pid")}, 3.0)
    assert outcome.reason == Reason.TIMED_OUT
    assert 3.0 <= outcome.seconds <= time.monotonic() - started < 300
    child = Path("/proc", (tmp_path / "pid").read_text(), "status")
    deadline = time.monotonic() + 300
    while child.exists() and "zombie" not in child.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or "zombie" in child.read_text()
    assert process.run("work", {}, 30.0).reason == ""


@pytest.mark.parametrize("task", ["computes", "starts another"])
def test_a_job_that_computes_too_long_ends_whoever_computes(process: IsolatedProcess, task: str) -> None:
    outcome = process.run(task, {"seconds": 1000.0}, 1.0)
    assert outcome.reason == Reason.TIMED_OUT
    assert "processor time" in outcome.detail


def test_time_that_others_take_is_not_counted(process: IsolatedProcess) -> None:
    """It gets a third of a processor, as on a machine with other work: longer than the limit, and under it."""
    outcome = process.run("stopped", {"seconds": 1.0}, 2.0)
    assert outcome.reason == ""
    assert outcome.seconds > 2.0


@pytest.mark.parametrize(
    ("task", "reason", "said"),
    [
        ("segfault", Reason.CRASHED, "SIGSEGV"),
        ("raise", Reason.CRASHED, "lines"),
        ("killed", Reason.OUT_OF_MEMORY, "ended"),
    ],
)
def test_a_job_that_ends_its_process_is_recorded(
    process: IsolatedProcess, task: str, reason: Reason, said: str
) -> None:
    outcome = process.run(task, {}, 30.0)
    assert outcome.reason == reason
    assert said in outcome.detail
    assert "\n" not in outcome.detail
    assert process.run("work", {}, 30.0).reason == ""


def test_a_program_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("raise SystemExit('no licence')")
    with pytest.raises(ResourceError, match="no licence"):
        IsolatedProcess([sys.executable, "-S", str(tmp_path / "worker.py")]).run("work", {}, 1.0)


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (MemoryError(), Reason.OUT_OF_MEMORY, "memory"),
        (RejectedAsset(Reason.NO_FACES, "a.glb holds no triangles"), Reason.NO_FACES, "no triangles"),
        (ZeroDivisionError("x"), Reason.CRASHED, "ZeroDivisionError: x"),
    ],
)
def test_what_a_task_raises_becomes_an_answer(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: Reason, said: str
) -> None:
    def task(arguments: object) -> dict:
        raise error

    monkeypatch.setitem(worker.TASKS, "fails", task)
    outcome = Outcome(**worker.handle({"task": "fails", "arguments": {}}))
    assert outcome.reason == reason
    assert said in outcome.detail


def test_the_memory_limit_holds() -> None:
    """The real worker, with a limit below what numpy is asked for."""
    code = (
        "import sys; sys.argv[1:] = ['600']\n"
        "from placid_kedro.objects import worker\n"
        "worker.TASKS['eat'] = lambda arguments: {'bytes': len(bytearray(2**31))}\n"
        "worker.main()\n"
    )
    process = IsolatedProcess([sys.executable, "-c", code])
    try:
        assert process.run("eat", {}, 60.0).reason == Reason.OUT_OF_MEMORY
    finally:
        process.close()


def test_an_image_that_many_parts_share_is_held_once(
    tmp_path: Path, render_parameters: RenderParameters
) -> None:
    """80 parts with one image of 16 MiB: copies would need 1.25 GiB more than the process may have."""
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 4), np.uint8).repeat(8, 0).repeat(8, 1)
    box = trimesh.creation.box()
    uv = (box.vertices[:, :2] + 0.5).astype(np.float32)
    surface = Surface(Paint(np.ones((len(uv), 4), np.float32), uv, Texture(pixels)))
    parts = [
        Part(np.add(box.vertices, [1.5 * place, 0, 0]), np.asarray(box.faces, np.int64), surface)
        for place in range(80)
    ]
    path = tmp_path / "a.glb"
    write_glb(parts, path)
    # As other programs write it: a texture and a material a part.
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    tree = json.loads(data[20 : 20 + length])
    tree["textures"] = [{"source": 0} for _ in parts]
    for number, material in enumerate(tree["materials"]):
        material["pbrMetallicRoughness"]["baseColorTexture"]["index"] = number
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = len(text).to_bytes(4, "little") + b"JSON" + text + data[20 + length :]
    path.write_bytes(data[:8] + (12 + len(chunks)).to_bytes(4, "little") + chunks)
    process = IsolatedProcess(worker_command(1024))
    arguments = {
        "uid": "a",
        "path": str(path),
        "sha256": file_hash(path),
        "parameters": render_parameters.model_dump(mode="json"),
        "seed": 0,
        "target": str(tmp_path / "views.zip"),
    }
    outcome = process.run("render", arguments, 120.0)
    process.close()
    assert (outcome.reason, outcome.detail) == ("", "")
    assert outcome.result["facts"]["textures"] == 1
