"""The real objects that the parameters name, and an object beside the one that its prompt means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from placid_kedro.evaluation.config import FolderTruth, FurnitureTruth, TruthSource

if TYPE_CHECKING:
    from placid_kedro.evaluation.report import GeometryReport
    from placid_kedro.evaluation.truth import RealObjects
    from placid_kedro.splats import Gaussians

GEOMETRY = "geometry."
"""Before the names of what is measured beside a real object."""

logger = logging.getLogger("placid_kedro.run")


def real_objects(source: TruthSource) -> RealObjects:
    """Where the real objects come from.

    Raises:
        DataError: a folder of one's own is not there or holds no mesh.
    """
    from placid_kedro.evaluation.truth import FolderObjects, NoRealObjects

    match source:
        case FurnitureTruth():
            from placid_kedro.embedded.known_objects import KnownFurniture

            return KnownFurniture(source.folder)
        case FolderTruth():
            return FolderObjects(source.folder, source.captions)
    return NoRealObjects()


def compared(
    gaussians: Gaussians | None, prompt: str, objects: RealObjects
) -> tuple[str, GeometryReport | None]:
    """The real object that an object was compared with, or why with none, which is also said; and how near it comes.

    Args:
        gaussians: in the unit cube; None for a missing object.
        prompt: what it should be.
        objects: the real ones.
    """
    import math
    from dataclasses import asdict

    from placid_kedro.evaluation.report import GeometryReport
    from placid_kedro.evaluation.truth import compare

    comparison = compare(gaussians, prompt, objects)
    if comparison.scores is None:
        if gaussians is not None:
            logger.info("%s is %s", prompt, comparison.truth)
        return comparison.truth, None
    scores = asdict(comparison.scores)
    defined = {name: value if math.isfinite(value) else None for name, value in scores.items()}
    return comparison.truth, GeometryReport(**defined)


def geometry_numbers(geometry: GeometryReport | None) -> dict[str, float]:
    """The scores that are defined, as metrics: `geometry.silhouette_iou` and so on, as a sweep calls them."""
    scores = {} if geometry is None else geometry.model_dump()
    return {f"{GEOMETRY}{name}": value for name, value in scores.items() if value is not None}
