"""Made objects as files in a table, which are rendered like those of a library."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from placid_kedro.embedded.made.objects import kind_of, make_object
from placid_kedro.objects.glb import write_glb
from placid_kedro.objects.table import ObjectRecord, to_table, with_file
from placid_kedro.progress import SILENT, Progress
from placid_kedro.rendering import Y_UP_TO_WORLD, painted_part

_LICENCE = "Apache-2.0"


def write_made(count: int, folder: Path, progress: Progress = SILENT) -> pd.DataFrame:
    """Write the objects of the seeds 0 to `count - 1` as GLB files, the same bytes every time.

    Returns:
        Their table of objects.
    """
    folder = folder.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return to_table(_write(seed, folder) for seed in progress.track(range(count), description="make objects"))


def _write(seed: int, folder: Path) -> ObjectRecord:
    uid, kind = f"made-{seed:05d}", kind_of(seed)
    path = folder / f"{uid}.glb"
    write_glb([painted_part(part) for part in make_object(seed)], path, Y_UP_TO_WORLD.T)
    record = ObjectRecord(uid=uid, source="made", name=kind, caption=f"a {kind}", licence=_LICENCE)
    return with_file(record, path)
