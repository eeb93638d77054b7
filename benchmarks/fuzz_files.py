"""Damaged files of every kind that this project reads, by the thousand: each is read or refused in one sentence.

    python benchmarks/fuzz_files.py [--seconds 60] [--seed 0] [--kinds ply npz ...] [--kept fuzz-failures]

Takes small whole files, changes, deletes, inserts and cuts off bytes (with the checksums of zip archives and PNG chunks
mended half of the time: damage must reach the parsers behind them), and reads each in this process. Prints how many of
each kind were read and refused, and by how many MiB the process grew. Another exception than the project's own and a
sentence of two lines are failures: their files are kept, and the program exits with 1. So is a read of over 30 s.
Meshes have a program of their own, `fuzz_meshes.py`.
"""

from __future__ import annotations

import argparse
import io
import logging
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fuzz_meshes import change_bytes
from kedro.io import DatasetError
from PIL import Image
from safetensors.torch import save_file

from placid_kedro.app.failures import sentence_for
from placid_kedro.cameras import PosedViews, ring
from placid_kedro.datasets import ImageDataset, PosedViewsDataset, TableDataset, TensorsDataset, VideoDataset
from placid_kedro.errors import PlacidError
from placid_kedro.foreign import one_line
from placid_kedro.latent_plane import load_official
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.lists import read_captions, read_records, read_uids
from placid_kedro.objects.sweethome3d import list_furniture
from placid_kedro.objects.table import ObjectRecord, read_table, to_table
from placid_kedro.objects.views import read_views, write_views
from placid_kedro.rendering import Render
from placid_kedro.splats import Gaussians, load_ply, save_ply
from placid_kedro.surface.point_clouds import from_point_cloud_file

SECONDS_A_FILE = 30
CATALOG = "PluginFurnitureCatalog.properties"
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        suffix: of its name.
        make: writes a whole one.
        read: reads it as the project does.
    """

    suffix: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]


def some_gaussians() -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    points, colors = (torch.rand(20, 3, generator=generator) for _ in range(2))
    return Gaussians.from_points(points, colors, opacity=0.5)


def write_text_ply(path: Path) -> None:
    header = "ply\nformat ascii 1.0\nelement vertex 3\n"
    header += "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz"))
    header += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    header += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    path.write_text(header + "0 0 0 0 0 1 255 0 0\n1 0 0 0 0 1 0 255 0\n0 1 0 0 0 1 0 0 255\n3 0 1 2\n")


def write_npz(path: Path) -> None:
    channels = {name: np.linspace(0, 1, 8, dtype=np.float32) for name in "RGB"}
    np.savez_compressed(path, coords=np.random.default_rng(0).random((8, 3), np.float32), **channels)


def write_png(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)).save(path)


def write_library(path: Path) -> None:
    lines = ["id=test", "name=Test", "license=free"]
    for number in (1, 2):
        lines += [
            f"id#{number}=a{number}",
            f"name#{number}=Chair \\u00e9",
            f"model#{number}=/models/a{number}.obj",
        ]
        lines += [f"modelRotation#{number}=1 0 0 0 1 0 0 0 1", f"creator#{number}=me"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CATALOG, "\n".join(lines))
        archive.writestr("models/a1.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")


def write_checkpoint(path: Path) -> None:
    torch.save({"transformer.0.to_q.weight": torch.zeros(8, 8), "sigma_embeddings": torch.zeros(4)}, path)


def write_object_views(path: Path) -> None:
    cameras = ring(2, 20.0, 1.5, 50.0, 8)
    write_views(
        path, cameras, Render(rgba=np.zeros((2, 8, 8, 4), np.uint8), depth=np.zeros((2, 8, 8), np.float32))
    )


def read_library(path: Path) -> None:
    list_furniture(SweetHome3dSource(folder=str(path.parent), libraries=(), count=0))


KINDS: dict[str, Kind] = {
    "gaussians": Kind(".ply", lambda path: save_ply(some_gaussians(), path), load_ply),
    "splats_as_points": Kind(".ply", lambda path: save_ply(some_gaussians(), path), from_point_cloud_file),
    "ply": Kind(".ply", write_text_ply, from_point_cloud_file),
    "npz": Kind(".npz", write_npz, from_point_cloud_file),
    "png": Kind(".png", write_png, lambda path: ImageDataset(filepath=str(path)).load()),
    "views_png": Kind(
        ".png",
        lambda path: PosedViewsDataset(filepath=str(path)).save(
            PosedViews(torch.rand(2, 3, 8, 8), ring(2, 20.0, 1.5, 50.0, 8))
        ),
        lambda path: PosedViewsDataset(filepath=str(path)).load(),
    ),
    "mp4": Kind(
        ".mp4",
        lambda path: VideoDataset(filepath=str(path), fps=5.0).save(torch.rand(3, 3, 16, 16)),
        lambda path: VideoDataset(filepath=str(path), fps=5.0).load(),
    ),
    "uids": Kind(
        ".csv",
        lambda path: path.write_text("uid\n000-001,a1\n000-002/b2.glb\n"),
        lambda path: read_uids(str(path)),
    ),
    "captions": Kind(
        ".csv",
        lambda path: path.write_text('a1,"a chair, red"\nb2,a table\n'),
        lambda path: read_captions(str(path)),
    ),
    "records": Kind(
        ".csv",
        lambda path: path.write_text('uid,name\na1,"chair, red"\nb2,table\n'),
        lambda path: read_records(str(path), ("uid",)),
    ),
    "safetensors": Kind(
        ".safetensors",
        lambda path: save_file({"a": torch.zeros(4, 4)}, path, metadata={"scalars": '{"b": 1}'}),
        lambda path: TensorsDataset(filepath=str(path)).load(),
    ),
    "checkpoint": Kind(".pt", write_checkpoint, lambda path: load_official(path, path)),
    "sh3f": Kind(".sh3f", write_library, read_library),
    "object_views": Kind(".zip", write_object_views, lambda path: read_views(path, "a", "a chair")),
    "table": Kind(
        ".parquet",
        lambda path: to_table([ObjectRecord("a", "folder")]).to_parquet(path),
        lambda path: (read_table(path), TableDataset(filepath=str(path)).load()),
    ),
}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A changed copy; half of the time inside the members of an archive or the chunks of an image."""
    if rng.random() < 0.5:
        if data[:4] == b"PK\x03\x04":
            return damaged_archive(data, rng)
        if data[:8] == PNG:
            return damaged_png(data, rng)
    return change_bytes(data, rng)


def damaged_archive(data: bytes, rng: random.Random) -> bytes:
    """Members changed before they are packed: their checksums are right."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change_bytes(content, rng) if name == chosen else content)
    return target.getvalue()


def damaged_png(data: bytes, rng: random.Random) -> bytes:
    """One chunk changed, its checksum mended."""
    chunks, place = [], len(PNG)
    while place < len(data):
        length = struct.unpack_from(">I", data, place)[0]
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    chosen = rng.randrange(len(chunks))
    result = PNG
    for index, (name, content) in enumerate(chunks):
        changed = change_bytes(content, rng) if index == chosen else content
        result += (
            struct.pack(">I", len(changed)) + name + changed + struct.pack(">I", zlib.crc32(name + changed))
        )
    return result


class Hangs(BaseException):
    """A read takes too long; no handler of `Exception` in the code that is read with takes it for something else."""


def outcome(kind: Kind, path: Path) -> str:
    """`read`, `refused`, or what went wrong."""
    signal.alarm(SECONDS_A_FILE)
    try:
        kind.read(path)
    except (PlacidError, DatasetError) as error:
        # Kedro wraps what a dataset raises; the command line looks for the sentence inside.
        sentence = sentence_for(error)
        if sentence is None:
            return f"FAILURE {one_line(error)}"
        return "FAILURE a sentence of two lines" if "\n" in sentence else "refused"
    except Exception as error:
        return f"FAILURE {type(error).__name__}: {one_line(error)}"
    except Hangs as hangs:
        return f"FAILURE hangs at {hangs}"
    finally:
        signal.alarm(0)
    return "read"


def timed_out(number: int, frame: object) -> None:
    raise Hangs(str(frame))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGALRM, timed_out)
    failed = False
    print(f"{'':20}{'files':>8}{'read':>8}{'refused':>8}{'failures':>9}{'MiB more':>9}", flush=True)
    for name in arguments.kinds:
        kind, rng, counts = KINDS[name], random.Random(arguments.seed), Counter[str]()
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, f"a{kind.suffix}")
            kind.make(path)
            whole = path.read_bytes()
            first = outcome(kind, path)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            end = time.monotonic() + arguments.seconds
            while time.monotonic() < end:
                path.write_bytes(damaged(whole, rng))
                word = outcome(kind, path)
                counts[word[:8].strip()] += 1
                if word.startswith("FAILURE"):
                    arguments.kept.mkdir(exist_ok=True)
                    place = arguments.kept / f"{name}-{time.time_ns()}{kind.suffix}"
                    place.write_bytes(path.read_bytes())
                    print(f"{word}: {place}", flush=True)
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
        shown = (sum(counts.values()), counts["read"], counts["refused"], counts["FAILURE"], more)
        print(
            f"{name:20}" + "".join(f"{number:>8.0f}" for number in shown) + f"   (whole: {first})", flush=True
        )
        failed |= counts["FAILURE"] > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
