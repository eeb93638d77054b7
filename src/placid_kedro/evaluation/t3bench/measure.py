"""The whole protocol for one object: photographs, rewards, captions, answers, and a table of all of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.errors import DataError
from placid_kedro.evaluation.t3bench.interfaces import (
    LOWEST_RATING,
    Captioner,
    ImageScorer,
    Judge,
)
from placid_kedro.evaluation.t3bench.poses import Icosphere, cameras_towards, icosphere
from placid_kedro.evaluation.t3bench.protocols import (
    CAPTION_FIELD_OF_VIEW_DEG,
    FIELDS_OF_VIEW_DEG,
    Framing,
    Protocol,
)
from placid_kedro.evaluation.t3bench.quality import quality_of, score_of
from placid_kedro.evaluation.t3bench.subjects import Background, Subject, background_level
from placid_kedro.progress import SILENT, Progress

_SEEN = 0.5 / 255
COLUMNS = ("step", "pose", "field_of_view_deg", "x", "y", "z", "value", "text", "image")


@dataclass(frozen=True)
class Scorers:
    """Who scores, describes and judges; a part that is None is not measured."""

    quality: ImageScorer | None
    captions: Captioner | None
    judge: Judge | None

    def names(self) -> dict[str, str]:
        """What a report says first: the model of each part."""
        parts = {"quality": self.quality, "captions": self.captions, "judge": self.judge}
        return {key: "not measured" if part is None else part.name for key, part in parts.items()}


@dataclass(frozen=True)
class Sizes:
    """How finely is measured.

    Attributes:
        subdivisions: of the icosphere of the quality; 2 in the protocol, which are 162 poses.
        image_size: pixels along each edge; 512 in the protocol.
        background: behind the object; black in the protocol.
        thumbnail: pixels along each edge of the images in the table.
    """

    subdivisions: int
    image_size: int
    background: Background
    thumbnail: int


@dataclass(frozen=True)
class Measured:
    """Scores of one object.

    Attributes:
        scores: by name: `quality`, its raw reward `quality_raw`, `alignment` and its rating `alignment_rating`, with
            the scorers' suffixes (`quality_embedded`); only what was measured.
        caption: what the judge made of the captions; None when it was not asked.
        missing: whether there was nothing to see.
        rows: everything that led to the scores, one dict of `COLUMNS` an image, caption or answer.
    """

    scores: dict[str, float]
    caption: str | None
    missing: bool
    rows: list[dict[str, Any]] = field(repr=False)

    def table(self) -> pd.DataFrame:
        """The rows as a table with the columns `COLUMNS`; images are JPEG files."""
        table = pd.DataFrame(self.rows, columns=list(COLUMNS))
        return table.astype(
            {"pose": "Int64", **dict.fromkeys(("field_of_view_deg", "x", "y", "z", "value"), float)}
        )


def measure(
    subject: Subject | None,
    prompt: str,
    scorers: Scorers,
    protocol: Protocol,
    sizes: Sizes,
    half_edge: float,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Measured:
    """Score one object by T3Bench.

    Args:
        subject: the object; None when its maker failed, which counts as the protocol says.
        prompt: what it should be.
        scorers: who scores.
        protocol: the paper's variant or the official one.
        sizes: how finely.
        half_edge: see `Protocol.framing`.
        seed: of the captions.
        progress: where the photographs report.
    """
    framing = None if subject is None else _framing(subject, protocol, sizes, half_edge)
    stage = _Stage(subject if framing is not None else None, framing, sizes)
    rows: list[dict[str, Any]] = []
    scores: dict[str, float] = {}
    if scorers.quality is not None:
        scores |= _measure_quality(stage, prompt, scorers.quality, protocol, rows, progress)
    caption = None
    if scorers.captions is not None and scorers.judge is not None:
        found, caption = _measure_alignment(stage, prompt, scorers.captions, scorers.judge, seed, rows)
        scores |= found
    return Measured(scores, caption, framing is None, rows)


@dataclass(frozen=True, eq=False)
class _Stage:
    """An object before the cameras; without one every image is empty."""

    subject: Subject | None
    framing: Framing | None
    sizes: Sizes

    def quality_views(self, sphere: Icosphere) -> Iterator[tuple[int, Tensor]]:
        """Each pose and its images [F, 3, H, W]."""
        if self.subject is None or self.framing is None:
            for pose in range(len(sphere)):
                yield pose, self._empty(len(FIELDS_OF_VIEW_DEG))
            return
        distance = self.framing.quality_distance
        cameras = self._cameras(sphere, distance, FIELDS_OF_VIEW_DEG)
        for pose in range(len(sphere)):
            views = slice(pose * len(FIELDS_OF_VIEW_DEG), (pose + 1) * len(FIELDS_OF_VIEW_DEG))
            yield pose, self.subject.photograph(cameras[views], self.sizes.background)[0]

    def caption_views(self) -> Tensor:
        """[12, 3, H, W]."""
        if self.subject is None or self.framing is None:
            return self._empty(len(icosphere(0)))
        cameras = self._cameras(icosphere(0), self.framing.caption_distance, (CAPTION_FIELD_OF_VIEW_DEG,))
        return self.subject.photograph(cameras, self.sizes.background)[0]

    def _cameras(self, sphere: Icosphere, distance: float, fields_of_view_deg: tuple[float, ...]) -> Cameras:
        assert self.framing is not None
        return cameras_towards(
            self.framing.center, sphere.directions, distance, fields_of_view_deg, self.sizes.image_size
        )

    def _empty(self, count: int) -> Tensor:
        size = self.sizes.image_size
        return torch.full((count, 3, size, size), background_level(self.sizes.background))


def _framing(subject: Subject, protocol: Protocol, sizes: Sizes, half_edge: float) -> Framing | None:
    """Where the cameras are; None for an object of which none of them sees anything."""
    try:
        framing = protocol.framing(subject.points, half_edge)
    except DataError:
        # Nothing in it, or all of it in one place: the protocol counts such an object as missing.
        return None
    cameras = cameras_towards(
        framing.center, icosphere(0).directions, framing.caption_distance, CAPTION_FIELD_OF_VIEW_DEG, 64
    )
    return framing if bool((subject.photograph(cameras, sizes.background)[1] > _SEEN).any()) else None


def _measure_quality(
    stage: _Stage,
    prompt: str,
    scorer: ImageScorer,
    protocol: Protocol,
    rows: list[dict[str, Any]],
    progress: Progress,
) -> dict[str, float]:
    names = (f"quality{scorer.suffix}", f"quality_raw{scorer.suffix}")
    if stage.subject is None and protocol.missing_quality is not None:
        # The score that is given, and the reward that would show as it.
        return dict(zip(names, (protocol.missing_quality, (protocol.missing_quality - 50) / 20), strict=True))
    sphere = icosphere(stage.sizes.subdivisions)
    rewards = np.zeros((len(sphere), len(FIELDS_OF_VIEW_DEG)))
    views = progress.track(stage.quality_views(sphere), total=len(sphere), description="quality")
    for pose, images in views:
        rewards[pose] = scorer.rewards(images, prompt).double().numpy()
        for index, fov in enumerate(FIELDS_OF_VIEW_DEG):
            image = _thumbnail(images[index], stage.sizes.thumbnail)
            rows.append(_row("image", sphere, pose, fov, value=rewards[pose, index], image=image))
    quality = quality_of(rewards, sphere)
    rows += [_row("pose", sphere, pose, value=value) for pose, value in enumerate(quality.smoothed)]
    return dict(zip(names, (score_of(quality.raw), quality.raw), strict=True))


def _measure_alignment(
    stage: _Stage, prompt: str, captioner: Captioner, judge: Judge, seed: int, rows: list[dict[str, Any]]
) -> tuple[dict[str, float], str]:
    images = stage.caption_views()
    captions = captioner.captions(images, seed)
    for pose, text in enumerate(captions):
        image = _thumbnail(images[pose], stage.sizes.thumbnail)
        rows.append(_row("caption", icosphere(0), pose, CAPTION_FIELD_OF_VIEW_DEG, text=text, image=image))
    merged = judge.merge(captions)
    rating = judge.rate(prompt, merged)
    rows += [
        {"step": "merged", "text": merged},
        {"step": "judged", "value": rating.score, "text": rating.answer},
    ]
    suffix = captioner.suffix or judge.suffix
    scores = {
        f"alignment{suffix}": alignment_of(rating.score),
        f"alignment_rating{suffix}": float(rating.score),
    }
    return scores, merged


def alignment_of(rating: float) -> float:
    """Ratings of 1 to 5 as tables show them, 0 to 100."""
    return (rating - LOWEST_RATING) * 25.0


def _row(
    step: str,
    sphere: Icosphere,
    pose: int,
    field_of_view_deg: float | None = None,
    value: float | None = None,
    text: str | None = None,
    image: bytes | None = None,
) -> dict[str, Any]:
    x, y, z = sphere.directions[pose].tolist()
    place = {"pose": pose, "field_of_view_deg": field_of_view_deg, "x": x, "y": y, "z": z}
    return {"step": step, **place, "value": value, "text": text, "image": image}


def _thumbnail(image: Tensor, size: int) -> bytes:
    """A JPEG file of an image [3, H, W] in [0, 1]."""
    pixels = (image.cpu() * 255).round().byte().permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels)
    picture.thumbnail((size, size))
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=85)
    return stream.getvalue()
