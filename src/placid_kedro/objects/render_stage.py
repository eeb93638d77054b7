"""The stage between objects and views: what is done already, what is left, and the record of each object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from placid_kedro import __version__
from placid_kedro.errors import DataError
from placid_kedro.files import new_file
from placid_kedro.objects.checks import check_renderer
from placid_kedro.objects.cluster import Job, dask_client, run_jobs
from placid_kedro.objects.config import RenderParameters
from placid_kedro.objects.isolation import Outcome
from placid_kedro.objects.table import accepted
from placid_kedro.progress import SILENT, Progress
from placid_kedro.rejections import Reason
from placid_kedro.rendering.blender import blender_version

# Raised by hand when the same object and parameters give other images.
FORMAT = 2
_LIBRARIES = ("dracopy", "embreex", "mapbox-earcut", "numpy", "pillow", "torch")
FACT_COLUMNS = ("faces", "textures", "is_colored", "color_deviation", "coverage", "extent", "border")
VIEW_COLUMNS = ("views", "views_sha256", "views_bytes", *FACT_COLUMNS)


@dataclass(frozen=True)
class ViewsManifest:
    """The record of one rendered object, written when everything else about it is on the disk.

    Attributes:
        uid: of the object.
        recipe: hash of everything on which the views depend: the object's file and `made_by`.
        made_by: parameters and versions, see `RenderPlan.provenance`.
        limits: under which it was tried.
        input_sha256: of the object's file.
        sha256: of the file with the views; empty when there is none.
        bytes: of the same.
        facts: see `placid_kedro.objects.facts.ObjectFacts`.
        reason: why there are no views; empty otherwise.
        detail: the same as a sentence.
    """

    uid: str
    recipe: str
    made_by: dict[str, Any]
    limits: dict[str, Any]
    input_sha256: str
    sha256: str
    bytes: int
    facts: dict[str, Any]
    reason: str
    detail: str


@dataclass(frozen=True)
class RenderPlan:
    """What the views of a set of objects depend on, and where they lie.

    Attributes:
        parameters: of the stage.
        seed: of the run.
    """

    parameters: RenderParameters
    seed: int

    @property
    def folder(self) -> Path:
        """Where the views lie; absolute, for workers that run elsewhere."""
        return views_folder(self.parameters)

    def recipe(self, input_sha256: str) -> str:
        """Hash of everything on which the views of an object depend."""
        described = [input_sha256, self._provenance]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def provenance(self) -> dict[str, Any]:
        """Parameters and versions that decide what the images are.

        Raises:
            ResourceError: Blender is to render and does not tell its version.
        """
        return dict(self._provenance)

    @cached_property
    def _provenance(self) -> dict[str, Any]:
        chosen = self.parameters.renderer
        renderer = getattr(self.parameters, chosen).model_dump(mode="json")
        versions = {"placid_kedro": __version__, **{name: version(name) for name in _LIBRARIES}}
        if chosen == "blender":
            versions["blender"] = blender_version(renderer.pop("command"))  # where it is changes nothing
        deformation = self.parameters.deformation
        return {
            **({} if deformation is None else {"deformation": deformation.model_dump(mode="json")}),
            "format": FORMAT,
            "seed": self.seed,
            "renderer": chosen,
            "renderer_parameters": renderer,
            "protocol": self.parameters.protocol.model_dump(mode="json"),
            "versions": versions,
        }

    def views_path(self, uid: str) -> Path:
        """Where the views of an object lie: folders by a hash, so that none has too many files."""
        return self.folder / views_name(uid)

    def manifest_path(self, uid: str) -> Path:
        """Where the record of an object lies."""
        return self.views_path(uid).with_suffix(".json")

    def read_manifest(self, uid: str) -> ViewsManifest | None:
        """The record of an object; None when there is none or it cannot be read."""
        try:
            return ViewsManifest(**json.loads(self.manifest_path(uid).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def is_done(self, uid: str, input_sha256: str) -> bool:
        """Whether an object need not be rendered: its views are there, or it failed under these limits."""
        manifest = self.read_manifest(uid)
        if manifest is None or manifest.recipe != self.recipe(input_sha256):
            return False
        if manifest.reason:
            limits = self.parameters.limits.model_dump(mode="json")
            return manifest.reason != Reason.WORKER_DIED and manifest.limits == limits
        views = self.views_path(uid)
        return views.is_file() and views.stat().st_size == manifest.bytes

    def job(self, uid: str, path: str, sha256: str) -> Job:
        """The job that renders an object."""
        arguments = {
            "uid": uid,
            "path": str(Path(path).absolute()),
            "sha256": sha256,
            "parameters": self.parameters.model_dump(mode="json"),
            "seed": self.seed,
            "target": str(self.views_path(uid)),
        }
        return Job(uid, "render", arguments, self.parameters.limits.seconds)

    def record(self, job: Job, outcome: Outcome) -> None:
        """Write the record of an object: from now on it is done."""
        result = outcome.result
        manifest = ViewsManifest(
            uid=job.uid,
            recipe=self.recipe(job.arguments["sha256"]),
            made_by=self.provenance(),
            limits=self.parameters.limits.model_dump(mode="json"),
            input_sha256=job.arguments["sha256"],
            sha256=result.get("sha256", ""),
            bytes=result.get("bytes", 0),
            facts=result.get("facts", {}),
            reason=outcome.reason,
            detail=outcome.detail,
        )
        with new_file(self.manifest_path(job.uid)) as temporary:
            temporary.write_text(json.dumps(asdict(manifest), indent=1) + "\n")


def views_folder(parameters: RenderParameters) -> Path:
    """Where the views lie, as an absolute path."""
    return Path(parameters.folder).expanduser().absolute()


def views_name(uid: str) -> str:
    """Path of an object's views inside their folder."""
    return f"{hashlib.sha256(uid.encode()).hexdigest()[:2]}/{uid}.zip"


def render_objects(table: pd.DataFrame, plan: RenderPlan, progress: Progress = SILENT) -> pd.DataFrame:
    """Render every accepted object that is not done yet.

    Args:
        table: of objects.
        plan: how and where to.
        progress: shows the bar.

    Returns:
        The table with the columns `VIEW_COLUMNS`; objects that could not be rendered have their reason.

    Raises:
        ResourceError: Blender is to render and is not there, or no scheduler answers.
    """
    check_renderer(plan.parameters)
    candidates = accepted(table)
    left = [
        (row.uid, row.path, row.sha256)
        for row in candidates.itertuples()
        if not plan.is_done(row.uid, row.sha256)
    ]
    if left:
        parameters = plan.parameters
        with dask_client(parameters.cluster.scheduler, parameters.cluster.workers) as client:
            jobs = (plan.job(*item) for item in left)
            memory_mb = parameters.limits.memory_mb
            for job, outcome in run_jobs(jobs, len(left), client, memory_mb, progress, "render"):
                plan.record(job, outcome)
    return _with_views(table, plan)


def _with_views(table: pd.DataFrame, plan: RenderPlan) -> pd.DataFrame:
    rows = list(_view_rows(table, plan))
    result = table.drop(columns=["reason", "detail"]).reset_index(drop=True)
    views = pd.DataFrame(rows, columns=["reason", "detail", *VIEW_COLUMNS])
    views["is_colored"] = views["is_colored"].astype("boolean")
    for column in ("views_bytes", "faces", "textures"):
        views[column] = views[column].astype("Int64")
    for column in ("color_deviation", "coverage", "extent", "border"):
        views[column] = views[column].astype("Float64")
    return pd.concat([result, views], axis=1)


def _view_rows(table: pd.DataFrame, plan: RenderPlan) -> Iterator[dict[str, Any]]:
    for row in table.itertuples():
        if row.reason:
            yield {"reason": row.reason, "detail": row.detail, "views": "", "views_sha256": ""}
            continue
        manifest = plan.read_manifest(row.uid)
        if manifest is None:
            raise DataError(f"{plan.manifest_path(row.uid)} has disappeared; run the stage again.")
        yield {
            "reason": manifest.reason,
            "detail": manifest.detail,
            "views": "" if manifest.reason else views_name(row.uid),
            "views_sha256": manifest.sha256,
            "views_bytes": manifest.bytes,
            **manifest.facts,
        }
