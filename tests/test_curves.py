"""Curves of a loop: the numbers in the figure are those that were measured."""

import base64
from pathlib import Path

import numpy as np

from placid_kedro.curves import Curves, curves_plot
from placid_kedro.datasets import FigureDataset


def recorded(values: list[float], name: str = "loss") -> Curves:
    curves = Curves()
    for step, value in enumerate(values):
        curves.add(step, {name: value})
    return curves


def test_every_step_is_a_point() -> None:
    figure = curves_plot(recorded([4.0, 2.0, 1.0, 0.5]))
    raw, mean = figure.data
    assert list(raw.x) == [0, 1, 2, 3] == list(mean.x)
    # Of four steps a twentieth is less than one: nothing is smoothed.
    assert list(raw.y) == [4.0, 2.0, 1.0, 0.5] == list(mean.y)


def test_the_clear_line_is_the_mean_of_a_twentieth_of_the_steps() -> None:
    """An impulse of height 3 among 60 steps is a plateau of three steps at 1; at the ends fewer steps count."""
    values = [0.0] * 60
    values[0], values[30] = 4.0, 3.0
    _, mean = curves_plot(recorded(values)).data
    expected = np.zeros(60)
    expected[29:32] = 1.0
    expected[:2] = 4 / 2, 4 / 3
    np.testing.assert_allclose(mean.y, expected, rtol=1e-6)


def test_a_panel_for_each_name_three_in_a_row() -> None:
    curves = Curves()
    for step in range(2):
        curves.add(step, {name: float(step) for name in ("guidance", "scale", "alpha", "gaussians")})
    figure = curves_plot(curves)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["guidance", "scale", "alpha", "gaussians"]
    assert [trace.xaxis for trace in figure.data] == ["x", "x", "x2", "x2", "x3", "x3", "x4", "x4"]
    left = [figure.layout[f"xaxis{n}"].domain[0] for n in ("", 2, 3, 4)]
    assert left[0] == left[3] == 0 < left[1] < left[2]


def test_a_number_that_some_steps_lack_keeps_its_steps() -> None:
    curves = recorded([1.0, 2.0, 3.0])
    curves.add(2, {"alpha": 0.5})
    assert [list(trace.x) for trace in curves_plot(curves).data] == [[0, 1, 2], [0, 1, 2], [2], [2]]


def test_a_step_that_is_done_again_counts_once() -> None:
    curves = recorded([1.0, 2.0])
    curves.add(1, {"loss": 5.0})
    assert curves.points == {"loss": {0: 1.0, 1: 5.0}}


def test_a_loop_without_steps_is_an_empty_figure() -> None:
    assert not curves_plot(Curves()).data


def test_kedro_viz_shows_what_was_measured(tmp_path: Path) -> None:
    dataset = FigureDataset(filepath=str(tmp_path / "curves.json"))
    dataset.save(curves_plot(recorded([4.0, 2.0, 1.0])))
    raw, _ = dataset.preview()["data"]
    assert (raw["name"], raw["mode"]) == ("loss", "lines")
    # As Plotly writes arrays.
    assert np.frombuffer(base64.b64decode(raw["y"]["bdata"]), raw["y"]["dtype"]).tolist() == [4.0, 2.0, 1.0]
