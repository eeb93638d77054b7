"""One table of objects from several libraries."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from placid_kedro.errors import DataError
from placid_kedro.files import file_hash, new_file
from placid_kedro.objects.cluster import Job, dask_client, run_jobs
from placid_kedro.objects.config import IngestParameters
from placid_kedro.objects.folder import list_folder
from placid_kedro.objects.objaverse_cache import list_objaverse
from placid_kedro.objects.sweethome3d import FurnitureModel, list_furniture
from placid_kedro.objects.table import ObjectRecord, is_uid, to_table
from placid_kedro.progress import SILENT, Progress
from placid_kedro.rejections import Reason

# Raised by hand when the same model gives another file.
_CONVERTER = 3
_CONVERSION_SECONDS = 300.0
_CONVERSION_MB = 4096


def ingest(parameters: IngestParameters, seed: int, progress: Progress = SILENT) -> pd.DataFrame:
    """The objects of all chosen sources as one table; what cannot be used has its reason.

    Args:
        parameters: of the stage.
        seed: of a random choice.
        progress: shows downloads and conversions.

    Raises:
        DataError: a source does not exist, or none of them has an object.
    """
    records: list[ObjectRecord] = []
    for name in parameters.source_names:
        if name == "objaverse":
            records += list_objaverse(parameters.objaverse, seed, progress)
        elif name == "sweethome3d":
            models = list_furniture(parameters.sweethome3d)
            records += convert_furniture(models, Path(parameters.converted), parameters.workers, progress)
        else:
            records += list_folder(parameters.folder)
    if not records:
        raise DataError(f"The sources {', '.join(parameters.source_names)} hold no object.")
    return to_table(records)


def convert_furniture(
    models: list[FurnitureModel], folder: Path, workers: int, progress: Progress = SILENT
) -> list[ObjectRecord]:
    """Convert furniture to GLB files, those that are there from an earlier run apart.

    Args:
        models: of the libraries.
        folder: for the files.
        workers: processes; 0 for one a core.
        progress: shows the bar.

    Returns:
        The models' records in their order; a model that cannot be converted has its reason.
    """
    folder = folder.expanduser().absolute()
    libraries = {library: file_hash(library) for library in {model.library for model in models}}
    finished: dict[str, ObjectRecord] = {}
    jobs = []
    for model in models:
        recipe = _recipe(model, libraries[model.library])
        # A name that is no uid, too long for a file for instance, is rejected with the table.
        rejected = model.record.reason or not is_uid(model.record.uid)
        record = model.record if rejected else _converted(model, folder, recipe)
        if record is None:
            jobs.append(_job(model, folder))
        else:
            finished[model.record.uid] = record
    if jobs:
        by_uid = {model.record.uid: model for model in models}
        with dask_client("", workers) as client:
            for job, outcome in run_jobs(jobs, len(jobs), client, _CONVERSION_MB, progress, "convert"):
                model = by_uid[job.uid]
                recipe = _recipe(model, libraries[model.library])
                answer = {
                    "recipe": recipe,
                    "result": outcome.result,
                    "reason": outcome.reason,
                    "detail": outcome.detail,
                }
                if outcome.reason != Reason.WORKER_DIED:
                    with new_file(_note(folder, job.uid)) as temporary:
                        temporary.write_text(json.dumps(answer) + "\n")
                finished[job.uid] = _record(model, folder, answer)
    return [finished[model.record.uid] for model in models]


def _recipe(model: FurnitureModel, library_sha256: str) -> str:
    described = [library_sha256, model.member, model.rotation, _CONVERTER]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _file(folder: Path, uid: str) -> Path:
    return folder / f"{uid}.glb"


def _note(folder: Path, uid: str) -> Path:
    return folder / f"{uid}.json"


def _job(model: FurnitureModel, folder: Path) -> Job:
    arguments = {
        "library": str(model.library.absolute()),
        "member": model.member,
        "rotation": model.rotation,
        "target": str(_file(folder, model.record.uid)),
    }
    return Job(model.record.uid, "convert", arguments, _CONVERSION_SECONDS)


def _converted(model: FurnitureModel, folder: Path, recipe: str) -> ObjectRecord | None:
    """The record of a model that an earlier run converted, if its file is still what it was."""
    try:
        note = json.loads(_note(folder, model.record.uid).read_text())
        if note["recipe"] != recipe:
            return None
        if not note["reason"]:
            file = _file(folder, model.record.uid)
            if file.stat().st_size != note["result"]["bytes"]:
                return None
        return _record(model, folder, note)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(model: FurnitureModel, folder: Path, answer: dict[str, Any]) -> ObjectRecord:
    if answer["reason"]:
        return dataclasses.replace(model.record, reason=answer["reason"], detail=answer["detail"])
    return dataclasses.replace(
        model.record,
        path=str(_file(folder, model.record.uid)),
        sha256=answer["result"]["sha256"],
        bytes=answer["result"]["bytes"],
    )
