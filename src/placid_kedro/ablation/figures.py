"""Table 1 as a picture: every metric's mean in each variant, and how it differs from the first variant's."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

_PANEL_WIDTH, _ROW_HEIGHT = 2.6, 0.34
_CLEAR, _UNCLEAR = "#1f6f8b", "#9aa0a6"


def table_image(table: pd.DataFrame) -> Figure:
    """One panel a metric, one row a variant: the difference with its interval, and the mean in words.

    Args:
        table: of `placid_kedro.ablation.comparison.differences`.
    """
    metrics, variants = list(table["metric"].unique()), list(table["variant"].unique())
    size = (1.6 + _PANEL_WIDTH * len(metrics), 1.1 + _ROW_HEIGHT * len(variants))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        for row in table[table["metric"] == metric].itertuples():
            y, color = variants.index(row.variant), _CLEAR if row.clear else _UNCLEAR
            if row.low == row.low:
                axis.plot([row.low, row.high], [y, y], color=color, linewidth=2)
            axis.plot(row.difference, y, "o", color=color)
            axis.annotate(
                f"{row.mean:.3g}", (1.02, y), xycoords=("axes fraction", "data"), va="center", size=7
            )
        axis.axvline(0, color="black", linewidth=0.6)
        axis.set_title(metric, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.set_xlabel("difference, mean at the right", fontsize=7)
    axes[0].set_yticks(range(len(variants)), variants)
    axes[0].invert_yaxis()
    return figure


def table_plot(table: pd.DataFrame) -> go.Figure:
    """`table_image` as an interactive plot."""
    metrics = list(table["metric"].unique())
    figure = make_subplots(rows=1, cols=len(metrics), shared_yaxes=True, subplot_titles=metrics)
    for column, metric in enumerate(metrics, start=1):
        rows = table[table["metric"] == metric]
        figure.add_trace(_intervals(rows), row=1, col=column)
        figure.add_vline(x=0, line_width=1, row=1, col=column)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(showlegend=False, xaxis_title="difference from the first variant")
    return figure


def _intervals(rows: pd.DataFrame) -> Any:
    told = [
        f"{row.variant}: {row.mean:.4g}, difference {row.difference:.3g} ({row.low:.3g} to {row.high:.3g}), "
        f"{row.prompts} prompts"
        for row in rows.itertuples()
    ]
    return go.Scatter(
        x=rows["difference"],
        y=rows["variant"],
        mode="markers",
        marker={"color": [_CLEAR if clear else _UNCLEAR for clear in rows["clear"]], "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["high"] - rows["difference"]).fillna(0),
            "arrayminus": (rows["difference"] - rows["low"]).fillna(0),
        },
        text=told,
        hoverinfo="text",
    )
