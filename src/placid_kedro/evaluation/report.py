"""What a run leaves behind about itself."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class RankedName(BaseModel):
    """A name and how well it fits an object's images (cosine similarity)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    score: float


class RetrievalScore(BaseModel):
    """See `placid_kedro.evaluation.Retrieval`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int
    of: int
    score: float
    best: tuple[RankedName, ...]


class GeometryReport(BaseModel):
    """See `placid_kedro.evaluation.geometry.GeometryScores`; None where a score is not defined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    silhouette_iou: float | None
    chamfer: float | None
    color_distance: float | None
    chroma: float | None
    detail: float | None
    second_fronts: float | None


class Report(BaseModel):
    """How an object was made and how well it matches its prompt.

    Attributes:
        scorers: who measured the scores, and how finely; a stand-in's numbers have names of their own.
        scores: T3Bench's, by name: `quality`, `alignment`, or with `_embedded` those of the stand-ins.
        caption: what the judge was told that the object is; None where it was not asked.
        missing: whether there was nothing to see.
        truth: the real object that it was compared with, or why there is none.
        geometry: how near it comes to that object; None without one.
        prompt: the cleaned prompt.
        slug: folder name of the run.
        seed: of the run.
        versions: of the packages that decide the result.
        threads: that torch computed with on the CPU; another number gives other last bits.
        models: where each model came from.
        distillation: the algorithm with all its parameters.
        stage_seconds: wall-clock seconds of each stage that this run computed; stages whose results were kept
            from an earlier run are missing.
        stage_peak_mib: the most MiB that each of these stages took: of the GPU where it computed there, else of the
            process.
        gaussians: number of Gaussians of the object.
        skipped_samples, skipped_steps: distilled views, and steps with one, whose guidance was zero or not finite.
        retrieval: rank of the prompt for the finished object.
        retrieval_of_start: the same for the Gaussians before distillation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorers: dict[str, str]
    scores: dict[str, float]
    caption: str | None
    missing: bool
    truth: str
    geometry: GeometryReport | None
    prompt: str
    slug: str
    seed: int
    versions: dict[str, str]
    threads: int
    models: dict[str, str]
    distillation: dict[str, Any]
    stage_seconds: dict[str, float]
    stage_peak_mib: dict[str, float] = {}
    gaussians: int
    skipped_samples: int
    skipped_steps: int
    retrieval: RetrievalScore
    retrieval_of_start: RetrievalScore
