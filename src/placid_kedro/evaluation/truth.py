"""The real objects that a prompt may mean, and an object beside the nearest of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from placid_kedro.errors import DataError
from placid_kedro.evaluation.geometry import (
    GeometryScores,
    RealObject,
    geometry_scores,
    nearest_object,
    real_object,
)
from placid_kedro.evaluation.retrieval import plain_name
from placid_kedro.objects.config import FolderSource
from placid_kedro.objects.folder import list_folder
from placid_kedro.rejections import RejectedAsset
from placid_kedro.rendering import load_mesh
from placid_kedro.splats import Gaussians

NOT_COMPARED = "not compared: "
_REASONS = 20


class RealObjects(Protocol):
    """Where real objects come from."""

    def meant_by(self, prompt: str) -> Mapping[str, RealObject]:
        """The objects that a prompt may mean, by their names.

        Raises:
            DataError: there are none at all, or none of that name.
            RejectedAsset: one of them cannot be read.
        """


@dataclass(frozen=True)
class Comparison:
    """An object beside a real one.

    Attributes:
        truth: name of the real object, or `NOT_COMPARED` and why.
        scores: None where it was not compared.
    """

    truth: str
    scores: GeometryScores | None


class NoRealObjects:
    """None are wanted."""

    def meant_by(self, prompt: str) -> Mapping[str, RealObject]:
        """Raises DataError."""
        raise DataError("the parameter 'truth' is of kind 'none'.")


class FolderObjects:
    """Mesh files of one's own, by their captions.

    Args:
        folder: with GLB, GLTF or OBJ files.
        captions: csv with the columns `file` and `caption`; empty: a file's caption is its name in words.

    Raises:
        DataError: the folder does not exist or holds no mesh, or the csv lacks a column.
    """

    def __init__(self, folder: str, captions: str = "") -> None:
        if not Path(folder).expanduser().is_dir():
            raise DataError(f"There is no folder {folder}; give one of meshes in the parameter truth.folder.")
        self._folder = folder
        self._records = list_folder(FolderSource(folder=folder, captions=captions, licence="", count=0))

    def meant_by(self, prompt: str) -> Mapping[str, RealObject]:
        """See `RealObjects`."""
        meant = [one for one in self._records if plain_name(one.caption) == plain_name(prompt)]
        if not meant:
            raise DataError(f"no mesh in {self._folder} has the caption {prompt[:60]!r}.")
        unusable = next((one for one in meant if one.reason), None)
        if unusable is not None:
            raise DataError(f"{unusable.uid} in {self._folder} cannot be used: {unusable.detail}.")
        return {one.uid: real_object(load_mesh(Path(one.path))) for one in meant}


def comparison_table(means: Mapping[str, float], truths: Sequence[str]) -> str:
    """The means over the objects that were compared, in Markdown, and how many were not and why.

    Args:
        means: by name of the score.
        truths: `Comparison.truth` of every object.
    """
    why = Counter(truth for truth in truths if truth.startswith(NOT_COMPARED))
    lines = [f"Beside real objects: {len(truths) - why.total()} of {len(truths)}.", ""]
    if means:
        lines += [
            "| | mean |",
            "|---|---|",
            *(f"| {name} | {value:.3f} |" for name, value in means.items()),
            "",
        ]
    return "\n".join([*lines, *(f"- {count} {reason}" for reason, count in why.most_common(_REASONS))]) + "\n"


def compare(gaussians: Gaussians | None, prompt: str, objects: RealObjects) -> Comparison:
    """Measure how near an object comes to the real one; of several of the same name, to the one that looks nearest.

    Args:
        gaussians: in the unit cube, front towards +x; None for an object that is missing.
        prompt: what it should be.
        objects: where the real ones come from.

    Returns:
        The scores, or why there are none: nothing is left out without a word.
    """
    if gaussians is None:
        return Comparison(f"{NOT_COMPARED}the object is missing.", None)
    try:
        meant = objects.meant_by(prompt)
        names, candidates = list(meant), list(meant.values())
        best = nearest_object(gaussians, candidates) if len(candidates) > 1 else 0
        return Comparison(names[best], geometry_scores(gaussians, candidates[best]))
    except (DataError, RejectedAsset) as error:
        return Comparison(f"{NOT_COMPARED}{error}", None)
