"""The laboratory's figures, each as a matplotlib image and as an interactive plot from the same data."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from plotly.subplots import make_subplots
from torch import Tensor

from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.distillation.lab.metrics import norms_by_step, norms_by_timestep

_NORMS = {"norm_sg": "‖δ_SG‖", "norm_residual": "‖e_u - e‖"}


def cost_caption(label: str, run: LabRun, steps: int) -> str:
    """`bsd, 2400 forwards, 81 s`: the column heads of Fig. 3."""
    return f"{label}, {run.forwards[steps - 1]:.0f} forwards, {run.seconds[steps - 1]:.0f} s"


def grid_image(columns: Mapping[str, Tensor], rows: Sequence[str]) -> Figure:
    """Fig. 3, 11: a column an algorithm, a row a sample.

    columns: caption -> images [R,3,H,W] in [0,1]; rows: R captions, such as the prompts.
    """
    figure = Figure(figsize=(1.9 * len(columns) + 0.6, 1.9 * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for j, (caption, images) in enumerate(columns.items()):
        axes[0, j].set_title(caption.replace(", ", "\n"), fontsize=8)
        for i, image in enumerate(_pixels(images)):
            axes[i, j].imshow(image)
            axes[i, j].set(xticks=[], yticks=[])
    for i, caption in enumerate(rows):
        axes[i, 0].set_ylabel(caption, fontsize=7, wrap=True)
    return figure


def grid_plot(columns: Mapping[str, Tensor], rows: Sequence[str]) -> go.Figure:
    """`grid_image` as an interactive plot; the images are embedded as PNG."""
    figure = make_subplots(
        rows=len(rows),
        cols=len(columns),
        column_titles=[caption.replace(", ", "<br>") for caption in columns],
        row_titles=list(rows),
        horizontal_spacing=0.01,
        vertical_spacing=0.01,
    )
    for j, images in enumerate(columns.values()):
        for i, image in enumerate(_pixels(images)):
            figure.add_trace(go.Image(source=data_uri(image)), row=i + 1, col=j + 1)
    figure.update_xaxes(showticklabels=False).update_yaxes(showticklabels=False)
    return figure.update_layout(width=190 * len(columns) + 100, height=190 * len(rows) + 120)


def norms_image(runs: Mapping[str, LabRun]) -> Figure:
    """Fig. 9: the norms of delta_SG and of e_u - e, over steps (left) and over t (right), for each run."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axis, (name, frames) in zip(figure.subplots(1, 2), _norm_frames(runs).items(), strict=True):
        for index, (label, frame) in enumerate(frames.items()):
            for norm, style in zip(_NORMS, ("-", "--"), strict=True):
                caption = f"{label} {_NORMS[norm]}"
                axis.plot(frame[name], frame[norm], style, color=f"C{index}", label=caption)
        axis.set(xlabel=name, ylabel="norm", yscale="log")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    return figure


def norms_plot(runs: Mapping[str, LabRun]) -> go.Figure:
    """`norms_image` as an interactive plot."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["over steps", "over t"])
    for column, (name, frames) in enumerate(_norm_frames(runs).items(), start=1):
        for label, frame in frames.items():
            for norm, dash in zip(_NORMS, ("solid", "dash"), strict=True):
                trace = go.Scatter(
                    x=frame[name],
                    y=frame[norm],
                    mode="lines",
                    line_dash=dash,
                    name=f"{label} {_NORMS[norm]}",
                    legendgroup=f"{label} {norm}",
                    showlegend=column == 1,
                )
                figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title_text=name, row=1, col=column)
    return figure.update_yaxes(type="log", title_text="norm")


def _norm_frames(runs: Mapping[str, LabRun]) -> dict[str, dict[str, pd.DataFrame]]:
    return {
        "step": {label: norms_by_step(run) for label, run in runs.items()},
        "t": {label: norms_by_timestep(run) for label, run in runs.items()},
    }


def sweep_image(
    table: pd.DataFrame, parameter: str, metrics: Sequence[str], references: Mapping[str, pd.Series]
) -> Figure:
    """Fig. 5 (lam), Fig. 10 (ratio): each metric over a swept parameter, with its confidence interval.

    table: a row a value of `parameter`, with columns NAME, NAME_low and NAME_high for each metric.
    references: label -> a row that is drawn as a level line, such as ordinary diffusion or BSD in Fig. 10.
    """
    figure = Figure(figsize=(3.3 * len(metrics), 3.1), layout="constrained")
    table = table.sort_values(parameter)
    for axis, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        axis.plot(table[parameter], table[metric], "o-")
        axis.fill_between(table[parameter], table[f"{metric}_low"], table[f"{metric}_high"], alpha=0.2)
        for index, (label, row) in enumerate(references.items(), start=1):
            axis.axhline(row[metric], color=f"C{index}", linestyle="--", label=label)
        axis.set(xlabel=parameter, ylabel=metric)
        axis.grid(alpha=0.3)
        if references:
            axis.legend(fontsize=7)
    return figure


def sweep_plot(
    table: pd.DataFrame, parameter: str, metrics: Sequence[str], references: Mapping[str, pd.Series]
) -> go.Figure:
    """`sweep_image` as an interactive plot."""
    figure = make_subplots(rows=1, cols=len(metrics), subplot_titles=list(metrics))
    table = table.sort_values(parameter)
    for column, metric in enumerate(metrics, start=1):
        errors = {
            "type": "data",
            "array": table[f"{metric}_high"] - table[metric],
            "arrayminus": table[metric] - table[f"{metric}_low"],
        }
        trace = go.Scatter(x=table[parameter], y=table[metric], error_y=errors, name=metric)
        figure.add_trace(trace, row=1, col=column)
        for label, row in references.items():
            figure.add_hline(y=row[metric], line_dash="dash", annotation_text=label, row=1, col=column)
        figure.update_xaxes(title_text=parameter, row=1, col=column)
    return figure


def drawn(figure: Figure) -> Tensor:
    """A matplotlib figure as an image, float32 [3,H,W] in [0,1]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    return torch.from_numpy(rgba[..., :3].copy()).permute(2, 0, 1).float() / 255


def data_uri(pixels: np.ndarray) -> str:
    """uint8 [H,W,3] as the text of a PNG that a browser shows; numbers would make files of many megabytes."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _pixels(images: Tensor) -> np.ndarray:
    """[N,3,H,W] in [0,1] as uint8 [N,H,W,3]."""
    scaled = images.detach().cpu().clamp(0, 1).mul(255).round()
    return scaled.permute(0, 2, 3, 1).byte().numpy()
