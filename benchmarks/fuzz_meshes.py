"""Damaged mesh files, by the thousand: each is drawn or rejected, nothing else.

    python benchmarks/fuzz_meshes.py [--seconds 600] [--seed 0] [--meshes FOLDER] [--kept fuzz-failures]

Takes small GLB, GLTF and OBJ files (its own, and those of a folder with what lies beside them), changes bytes and
entries of their JSON, and loads and renders them in a process that may have 4 GiB and 30 s a file. Prints how many
ended how. Any other exception, a process that dies and one that hangs is a failure: its files are kept. Exits with 1 if
there is one.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from placid_kedro.cameras import orbit
from placid_kedro.objects.glb import write_glb
from placid_kedro.rejections import RejectedAsset
from placid_kedro.rendering import FORMATS, MeshLimits, Part, load_mesh, render_mesh
from placid_kedro.rendering.surfaces import Paint, Surface, Texture

SECONDS_A_FILE = 30
MEMORY = 4 * 2**30
LARGEST_SEED = 100_000
LIMITS = MeshLimits(max_bytes=2**24, max_faces=20_000, max_texture_pixels=2**22)
CAMERAS = orbit([20.0], 25.0, 1.5, 20.0, 16)
VALUES: tuple[Any, ...] = (
    0, -1, 1, 3, 255, 2**31, 2**32, -(2**31), 1e308, float("nan"), None, True, "x", "../x", [], {}, [[]], 5126, 5121,
    "VEC3", "SCALAR",
)  # fmt: skip
BYTES = (b"/", b"-", b" ", b"\n", b"9", b"1e999", b"nan", b"\x00", b"..", b"\\", b"#", b"f 1 2 3\n", b"-s 1 ")


def make_seeds(folder: Path) -> None:
    """A textured and a shining box, as GLB and as OBJ with a material."""
    box = trimesh.creation.box()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 4), np.uint8)
    uv = (box.vertices[:, :2] + 0.5).astype(np.float32)
    color = rng.random((len(uv), 4), np.float32)
    paint = Paint(color, uv, Texture(pixels, ("clamp", "mirror")))
    surface = Surface(paint, emission=Paint(np.ones_like(color), uv, Texture(pixels)), alpha_cutoff=0.5)
    for name in ("glb", "obj"):
        (folder / name).mkdir()
    write_glb([Part(box.vertices, np.asarray(box.faces, np.int64), surface)], folder / "glb/a.glb")
    lines = ["mtllib a.mtl", "usemtl a"]
    lines += [f"v {x} {y} {z}" for x, y, z in box.vertices] + [f"vt {u} {v}" for u, v in uv]
    lines += ["f " + " ".join(f"{corner + 1}/{corner + 1}" for corner in face) for face in box.faces]
    lines += ["usemtl b", "f 1 2 4 3 8 7", "f -1 -2 -3 -4"]
    (folder / "obj/a.obj").write_text("\n".join(lines) + "\n")
    (folder / "obj/a.mtl").write_text(
        "newmtl a\nKd 0.5 0.5 0.5\nd 0.5\nmap_Kd -s 1 2 -o 0.5 a.png\nmap_d a.png\nnewmtl b\nKd 1 0 0\nKe 0 0 1\n"
    )
    Image.fromarray(pixels).save(folder / "obj/a.png")


def change_json(tree: Any, rng: random.Random) -> None:
    """Change, delete or repeat one entry somewhere."""
    node, place = tree, None
    for _ in range(rng.randint(1, 7)):
        if not isinstance(node, (dict, list)) or not node:
            break
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        place, node = (node, key), node[key]
    if place is None:
        return
    parent, key = place
    kind = rng.random()
    if kind < 0.25 and isinstance(parent, dict):
        del parent[key]
    elif kind < 0.35 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    elif kind < 0.7 and isinstance(parent[key], (int, float)):
        parent[key] += rng.choice((-1, 1, 2, -5, 1000))
    else:
        parent[key] = copy.deepcopy(rng.choice(VALUES))  # else a value could come to hold itself


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """Replace, delete, insert or cut off at some places."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not changed:
            break
        place, kind = rng.randrange(len(changed)), rng.random()
        if kind < 0.5:
            changed[place] = rng.randrange(256)
        elif kind < 0.7:
            del changed[place : place + rng.randint(1, 9)]
        elif kind < 0.9:
            changed[place:place] = rng.choice(BYTES)
        else:
            del changed[place:]
    return bytes(changed)


def damage(path: Path, rng: random.Random) -> None:
    """Change a mesh file or one of those beside it, in place."""
    data = path.read_bytes()
    if data[:4] == b"glTF" and rng.random() < 0.7:
        length = struct.unpack_from("<I", data, 12)[0]
        tree = json.loads(data[20 : 20 + length])
        for _ in range(rng.randint(1, 3)):
            change_json(tree, rng)
        text = json.dumps(tree).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + data[20 + length :]
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        return
    beside = [file for file in sorted(path.parent.rglob("*")) if file.is_file()]
    for file in {path, rng.choice(beside)} if rng.random() < 0.5 else {path}:
        file.write_bytes(change_bytes(file.read_bytes(), rng))


def child(seeds: list[Path], folder: Path, seed: int, answers: Connection) -> None:
    """Damage, load and render until killed; one word an input."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    rng = random.Random(seed)
    while True:
        source = rng.choice(seeds)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source.parent, folder, copy_function=shutil.copyfile)
        damage(folder / source.name, rng)
        try:
            render_mesh(load_mesh(folder / source.name, LIMITS), CAMERAS, 1)
            word = "drawn"
        except RejectedAsset as error:
            word = error.reason.value if "\n" not in str(error) else "FAILURE a sentence of two lines"
        except MemoryError:
            word = "out_of_memory"
        except Exception as error:
            word = f"FAILURE {type(error).__name__}: {error}"
        answers.send(word)
        if word.startswith("FAILURE"):
            answers.recv()  # until the files are kept


def fuzz(seeds: list[Path], seconds: float, seed: int, keep: Callable[[Path, str], None]) -> Counter[str]:
    """How inputs ended, by word."""
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "input")
        while time.monotonic() < end:
            ours, theirs = context.Pipe()
            process = context.Process(target=child, args=(seeds, folder, seed + sum(counts.values()), theirs))
            process.start()
            theirs.close()
            limit = 4 * SECONDS_A_FILE  # the first answer waits for imports
            try:
                while time.monotonic() < end:
                    if not ours.poll(limit):
                        raise TimeoutError
                    limit, word = SECONDS_A_FILE, ours.recv()
                    counts[word] += 1
                    if word.startswith("FAILURE"):
                        keep(folder, word)
                        ours.send("")
            except TimeoutError:
                counts["FAILURE hangs"] += 1
                keep(folder, "FAILURE hangs")
            except EOFError:
                process.join()
                word = f"FAILURE the process died with status {process.exitcode}"
                counts[word] += 1
                keep(folder, word)
            process.kill()
            process.join()
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--meshes", type=Path, help="a folder with further files to damage")
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"))
    arguments = parser.parse_args()

    def keep(folder: Path, word: str) -> None:
        place = arguments.kept / f"{time.time_ns()}"
        shutil.copytree(folder, place)
        print(f"{word}: {place}", flush=True)

    with tempfile.TemporaryDirectory() as made:
        make_seeds(Path(made))
        folders = [Path(made)] + ([arguments.meshes] if arguments.meshes else [])
        seeds = [
            path
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in FORMATS and path.is_file() and path.stat().st_size < LARGEST_SEED
        ]
        counts = fuzz(seeds, arguments.seconds, arguments.seed, keep)
    print(f"{sum(counts.values())} damaged files from {len(seeds)} seeds in {arguments.seconds:.0f} s")
    for word, count in counts.most_common():
        print(f"{count:8d}  {word}")
    sys.exit(any(word.startswith("FAILURE") for word in counts))


if __name__ == "__main__":
    main()
