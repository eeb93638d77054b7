"""Smoothing and scoring against known numbers, the protocols' distances against the published ones."""

import numpy as np
import pytest
import torch

from placid_kedro.errors import DataError, ParameterError, ShapeError
from placid_kedro.evaluation.t3bench.poses import icosphere
from placid_kedro.evaluation.t3bench.protocols import PROTOCOLS
from placid_kedro.evaluation.t3bench.quality import quality_of, smooth


def test_smoothing_an_icosahedron_by_hand() -> None:
    """One vertex of twelve at 1. A mean goes over six values: after one round it and its five neighbours hold 1/6.

    The second round: at the vertex 6/36; a neighbour sees itself, the vertex and two of the ring: 4/36; a vertex of the
    far ring sees two of the near ring: 2/36. The third: (6 + 5 * 4) / 216 at the vertex.
    """
    sphere = icosphere(0)
    values = np.zeros(12)
    values[3] = 1
    np.testing.assert_allclose(np.sort(smooth(values, sphere, 1))[-7:], [0, *[1 / 6] * 6])
    np.testing.assert_allclose(np.sort(smooth(values, sphere, 2)), [0, *[2 / 36] * 5, *[4 / 36] * 5, 6 / 36])
    assert smooth(values, sphere, 3)[3] == pytest.approx(26 / 216)


def test_smoothing_is_the_cube_of_the_averaging_matrix() -> None:
    sphere = icosphere(2)
    averaging = np.zeros((162, 162))
    for pose, near in enumerate(sphere.neighbours):
        averaging[pose, [pose, *near]] = 1 / (len(near) + 1)
    values = np.random.default_rng(0).normal(size=162)
    np.testing.assert_allclose(smooth(values, sphere), np.linalg.matrix_power(averaging, 3) @ values)


def test_quality_takes_the_best_field_of_view_before_smoothing() -> None:
    rewards = np.full((12, 5), -1.0)
    rewards[3, 4] = 2.0
    result = quality_of(rewards, icosphere(0))
    raw = -1 + 3 * 26 / 216
    assert result.raw == pytest.approx(raw)
    assert result.score == pytest.approx(20 * raw + 50)
    assert result.best_pose == 3 and len(result.smoothed) == 12


@pytest.mark.parametrize(("reward", "score"), [(-2.4, 2.0), (0.0, 50.0), (3.0, 110.0), (-3.0, -10.0)])
def test_scores_are_not_clipped(reward: float, score: float) -> None:
    assert quality_of(np.full((162, 5), reward), icosphere(2)).score == pytest.approx(score)


@pytest.mark.parametrize("shape", [(11, 5), (12,), (12, 0)])
def test_rewards_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"Rewards must be \[12, F\]"):
        quality_of(np.zeros(shape), icosphere(0))


def test_a_reward_that_is_no_number() -> None:
    with pytest.raises(DataError, match="no number"):
        quality_of(np.full((12, 5), np.nan), icosphere(0))


BOX = torch.tensor([[-0.5, -0.25, 0.0], [0.5, 0.25, 0.2], [0.3, 0.0, 0.1]])


def test_the_paper_measures_from_the_origin_in_the_makers_units() -> None:
    framing = PROTOCOLS["paper"].framing(BOX, half_edge=0.5)
    assert framing.center.tolist() == [0, 0, 0]
    assert framing.quality_distance == pytest.approx(2.2 / 2)
    assert framing.caption_distance == pytest.approx(2.2 * 1.0 / 2)  # half of the largest extent, 1
    assert PROTOCOLS["paper"].framing(BOX, half_edge=1.0).quality_distance == pytest.approx(2.2)


def test_the_official_protocol_normalises() -> None:
    framing = PROTOCOLS["official"].framing(BOX, half_edge=0.5)
    torch.testing.assert_close(framing.center, torch.tensor([0.1, 0.0, 0.1]))
    # The largest absolute coordinate after the mean is taken away: |-0.5 - 0.1|.
    assert framing.quality_distance == pytest.approx(2.2 * 0.6)
    assert framing.caption_distance == pytest.approx(4.84 * 0.6)


@pytest.mark.parametrize("points", [torch.zeros(0, 3), torch.ones(5, 3), torch.full((4, 3), float("nan"))])
def test_what_has_no_extent_has_no_frame(points: torch.Tensor) -> None:
    with pytest.raises(DataError, match="cannot be framed"):
        PROTOCOLS["official"].framing(points, 0.5)


def test_the_unit_is_positive() -> None:
    with pytest.raises(ParameterError, match="half_edge"):
        PROTOCOLS["paper"].framing(BOX, 0.0)
