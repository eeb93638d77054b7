import colorsys
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch
from matplotlib.figure import Figure

from placid_kedro.distillation.config import BSD, SDS
from placid_kedro.distillation.lab import figures
from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.distillation.lab.metrics import (
    comparison_table,
    image_metrics,
    mean_interval,
    norms_by_step,
    norms_by_timestep,
)
from placid_kedro.errors import ShapeError


def flat(red, green, blue, size=16):
    return torch.tensor([red, green, blue]).reshape(1, 3, 1, 1).expand(1, 3, size, size)


@pytest.mark.parametrize("colour", [(1.0, 0.0, 0.0), (0.2, 0.6, 0.4), (0.5, 0.5, 0.5)])
def test_saturation_against_colorsys(colour):
    measured = image_metrics(flat(*colour))
    assert measured["saturation"][0] == pytest.approx(colorsys.rgb_to_hsv(*colour)[1], abs=1e-6)
    assert measured["detail"][0] == pytest.approx(0, abs=1e-9)


def test_chroma_of_known_colours():
    """CIELAB of sRGB red is (53.24, 80.09, 67.20); greys have no chroma."""
    measured = image_metrics(torch.cat([flat(1.0, 0.0, 0.0), flat(0.3, 0.3, 0.3)]))
    assert measured["chroma"][0] == pytest.approx(math.hypot(80.09, 67.20), abs=0.1)
    assert measured["chroma"][1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("cycles", "counted"), [(24, True), (8, False)])
def test_detail_is_the_variance_of_fast_waves_only(cycles, counted):
    """A grey wave 0.5 + A cos(2 pi f x) has the variance A^2 / 2."""
    wave = 0.5 + 0.2 * torch.cos(2 * math.pi * cycles * torch.arange(64) / 64)
    image = wave.reshape(1, 1, 1, 64).expand(1, 3, 64, 64)
    expected = 1e4 * 0.2**2 / 2 if counted else 0.0
    assert image_metrics(image)["detail"][0] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_refuses_other_shapes():
    with pytest.raises(ShapeError, match=r"\[N,3,H,W\]"):
        image_metrics(torch.zeros(3, 8, 8))


def test_interval_of_a_mean_covers_it_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        values = generator.normal(3.0, 2.0, size=40)
        interval = mean_interval(values, generator)
        assert interval.low < interval.mean < interval.high
        covered += interval.low <= 3.0 <= interval.high
    assert covered >= 50  # 57 expected
    width = interval.high - interval.low
    assert width == pytest.approx(2 * 1.96 * values.std() / math.sqrt(40), rel=0.15)
    assert math.isnan(mean_interval(np.array([1.0]), generator).low)


def make_run(algorithm, steps=40, batch=3):
    """A run whose norms are known functions of t and step."""
    t = torch.randint(20, 980, (steps, batch), generator=torch.Generator().manual_seed(0)).float()
    step = torch.arange(steps, dtype=torch.float32)[:, None].expand(steps, batch)
    cosine = torch.where(step < 10, -0.5, 0.5)
    history = {"t": t, "norm_sg": 2 * t, "norm_cg": t, "norm_residual": step, "cosine": cosine}
    ones = torch.ones(steps, dtype=torch.float64)
    return LabRun(algorithm, {}, history, 2 * ones.cumsum(0), 0.5 * ones.cumsum(0), skipped=1)


@pytest.fixture
def runs():
    return {"bsd": make_run(BSD()), "sds": make_run(SDS())}


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    dull, loud = torch.rand(2, 3, 3, 32, 32, generator=generator)
    return {"bsd": {20: 0.4 + 0.1 * dull, 40: 0.4 + 0.1 * dull}, "sds": {20: dull, 40: loud**4}}


def test_table_compares_with_the_ground_truth(runs, images):
    truth = images["bsd"][20]
    scores = {label: {20: np.ones(3), 40: np.zeros(3)} for label in runs}
    table = comparison_table(runs, images, truth, np.random.default_rng(0), scores, np.full(3, 0.5))
    table = table.set_index(["algorithm", "steps"])
    assert len(table) == 5
    assert table.loc[("bsd", 20), "saturation_ratio"] == pytest.approx(1)
    assert table.loc[("sds", 40), "saturation_ratio"] > 2
    assert table.loc[("sds", 20), ["forwards", "seconds", "skipped"]].tolist() == [40, 10, 1]
    assert table.loc[("sds", 20), "obtuse"] == 0.5 and table.loc[("sds", 40), "obtuse"] == 0.25
    assert table.loc[("sds", 40), "score"] == 0
    low, mean, high = (table.loc[("sds", 40), name] for name in ("chroma_low", "chroma", "chroma_high"))
    assert low <= mean <= high


def test_norms_over_steps_and_t(runs):
    by_t, by_step = norms_by_timestep(runs["bsd"]), norms_by_step(runs["bsd"], bins=10)
    np.testing.assert_allclose(by_t["norm_sg"], 2 * by_t["t"])
    np.testing.assert_allclose(by_step["norm_residual"], by_step["step"])
    assert len(by_step) == 10


def saved(figure, path):
    """Whether a matplotlib figure draws and has something on it."""
    assert isinstance(figure, Figure)
    figure.savefig(path, dpi=50)
    return path.stat().st_size > 2000


def test_figures_show_their_data(runs, images, tmp_path):
    columns = {figures.cost_caption(label, run, 40): images[label][40] for label, run in runs.items()}
    assert list(columns) == ["bsd, 80 forwards, 20 s", "sds, 80 forwards, 20 s"]
    rows = ["a cactus", "a red sofa", "a biplane"]
    assert saved(figures.grid_image(columns, rows), tmp_path / "grid.png")
    grid = figures.grid_plot(columns, rows)
    assert isinstance(grid, go.Figure) and len(grid.data) == 6
    assert saved(figures.norms_image(runs), tmp_path / "norms.png")
    norms = figures.norms_plot(runs)
    np.testing.assert_allclose(norms.data[1].y, norms.data[1].x)  # norm_residual is the step
    table = pd.DataFrame(
        {"lam": [25, 5], "chroma": [3.0, 9.0], "chroma_low": [2.0, 8.0], "chroma_high": [4.5, 9.5]}
    )
    reference = {"diffusion": pd.Series({"chroma": 2.5})}
    assert saved(figures.sweep_image(table, "lam", ["chroma"], reference), tmp_path / "sweep.png")
    sweep = figures.sweep_plot(table, "lam", ["chroma"], reference)
    assert list(sweep.data[0].x) == [5, 25]
    np.testing.assert_allclose(sweep.data[0].error_y.arrayminus, [1.0, 1.0])
