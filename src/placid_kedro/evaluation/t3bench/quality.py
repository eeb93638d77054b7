"""From the rewards of images to T3Bench's quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placid_kedro.errors import DataError, ShapeError
from placid_kedro.evaluation.t3bench.poses import Icosphere

SMOOTHING_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Quality:
    """T3Bench's quality of one object.

    Attributes:
        score: `20 x + 50` of the best pose; not clipped.
        raw: x, the reward of the best pose after smoothing.
        best_pose: its index.
        smoothed: [P] of all poses.
    """

    score: float
    raw: float
    best_pose: int
    smoothed: NDArray[np.float64]


def quality_of(rewards: ArrayLike, sphere: Icosphere) -> Quality:
    """The best field of view of each pose, smoothed over the sphere, the best pose, `20 x + 50`.

    Args:
        rewards: [P, F], of the images of P poses in F fields of view.
        sphere: the P poses.

    Raises:
        ShapeError: for rewards of another number of poses.
        DataError: for a reward that is no number.
    """
    table = np.asarray(rewards, np.float64)
    if table.ndim != 2 or len(table) != len(sphere) or not table.shape[1]:
        raise ShapeError(f"Rewards must be [{len(sphere)}, F], got {list(table.shape)}.")
    if not np.isfinite(table).all():
        raise DataError("The image scorer gave a reward that is no number; look at its weights.")
    smoothed = smooth(table.max(axis=1), sphere)
    best = int(smoothed.argmax())
    return Quality(score_of(smoothed[best]), float(smoothed[best]), best, smoothed)


def smooth(
    values: NDArray[np.float64], sphere: Icosphere, rounds: int = SMOOTHING_ROUNDS
) -> NDArray[np.float64]:
    """Replace each of the values [P] by the mean over itself and its neighbours, so many times."""
    groups = [np.array([pose, *near]) for pose, near in enumerate(sphere.neighbours)]
    for _ in range(rounds):
        values = np.array([values[group].mean() for group in groups])
    return values


def score_of(raw: float) -> float:
    """Rewards are about standard normal; T3Bench shows them as `20 x + 50`."""
    return float(20 * raw + 50)
