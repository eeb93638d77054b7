"""Numbers of a long loop over its steps, and the figure of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

_COLUMNS = 3
_ROW_PIXELS = 230
# The line through a noisy curve is the mean over this share of its steps around each.
_MEAN_SHARE = 1 / 20
# Seen on a dark page and on a light one.
_GRID = "rgba(128, 128, 128, 0.25)"
_LINES = ({"color": "rgba(70, 150, 185, 0.45)", "width": 1}, {"color": "#e0782f", "width": 2})
_TITLE_SIZE, _TICK_SIZE = 11, 9


@dataclass
class Curves:
    """What a loop measures of its steps.

    Attributes:
        points: values by step, by name; a name may lack steps.
    """

    points: dict[str, dict[int, float]] = field(default_factory=dict)

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep numbers of one step, by name; a step that is done again takes the place of what it said before."""
        for name, value in numbers.items():
            self.points.setdefault(name, {})[step] = value


def curves_plot(curves: Curves) -> go.Figure:
    """A panel for each name, in their order: every step's value (thin), and the mean of a twentieth of the steps
    around it (thick)."""
    columns = min(_COLUMNS, max(1, len(curves.points)))
    rows = max(1, -(-len(curves.points) // columns))
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=list(curves.points))
    for index, (name, points) in enumerate(curves.points.items()):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        steps, values = np.array(list(points)), np.array(list(points.values()), np.float32)
        window = max(1, round(len(values) * _MEAN_SHARE))
        mean = pd.Series(values).rolling(window, center=True, min_periods=1).mean().to_numpy(np.float32)
        for line, look in zip((values, mean), _LINES, strict=True):
            figure.add_trace(go.Scatter(x=steps, y=line, mode="lines", line=look, name=name), **place)
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(gridcolor=_GRID, zerolinecolor=_GRID, tickfont_size=_TICK_SIZE, nticks=5)
    figure.update_annotations(font_size=_TITLE_SIZE)
    figure.update_xaxes(title_text="step", title_font_size=_TICK_SIZE, row=rows)
    return figure.update_layout(showlegend=False, height=_ROW_PIXELS * rows + 100)
