"""All figures of the laboratory from its runs: the paper's Fig. 3, 5, 9, 10 and 11."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from torch import Tensor

from placid_kedro.distillation.config import BSD, SDS, VSD, VSDMGDA
from placid_kedro.distillation.lab import figures
from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.distillation.lab.plan import PlannedRun

_SWEPT = ("chroma", "saturation", "detail", "score")


@dataclass(frozen=True, eq=False)
class Exhibits:
    """What is shown.

    plan: of all runs; runs: by label. images: label -> steps -> [B,3,H,W] in [0,1].
    truth: of each sample's prompt and seed, [B,3,H,W]. table: of `comparison_table`, with `experiment` and
    `value`. samples: B captions.
    """

    plan: Sequence[PlannedRun]
    runs: Mapping[str, LabRun]
    images: Mapping[str, Mapping[int, Tensor]]
    truth: Tensor
    table: pd.DataFrame
    samples: Sequence[str]

    def figures(self) -> dict[str, tuple[Tensor, go.Figure]]:
        """By name: each as an image [3,H,W] in [0,1] and as an interactive plot."""
        converged, over_trained = sorted(next(iter(self.images.values())))
        compared = self._labels(lambda run: run.experiment == "comparison")
        variational = self._labels(lambda run: isinstance(run.algorithm, VSD | VSDMGDA))
        return {
            "figure3_converged": self._grid((label, converged) for label in compared),
            "figure3_over_trained": self._grid((label, over_trained) for label in compared),
            "figure5": self._sweep("lam", over_trained),
            "figure5_images": self._grid((label, over_trained) for label in self._of("lam")),
            "figure9": self._norms(),
            "figure10": self._sweep("ratio", over_trained),
            "figure10_images": self._grid((label, over_trained) for label in self._of("ratio")),
            "figure11": self._grid(
                (label, steps) for label in variational for steps in (converged, over_trained)
            ),
        }

    def _labels(self, wanted: Callable[[PlannedRun], bool]) -> list[str]:
        return [run.label for run in self.plan if wanted(run)]

    def _of(self, experiment: str) -> list[str]:
        return self._labels(lambda run: run.experiment == experiment)

    def _grid(self, shown: Iterable[tuple[str, int]]) -> tuple[Tensor, go.Figure]:
        columns = {"diffusion": self.truth}
        for label, steps in shown:
            caption = figures.cost_caption(f"{label}, {steps} steps", self.runs[label], steps)
            columns[caption] = self.images[label][steps]
        return _both(figures.grid_image, figures.grid_plot, columns, self.samples)

    def _norms(self) -> tuple[Tensor, go.Figure]:
        labels = self._labels(
            lambda run: run.experiment == "comparison" and isinstance(run.algorithm, SDS | BSD)
        )
        shown = {label: self.runs[label] for label in labels or self._of("lam")}
        return _both(figures.norms_image, figures.norms_plot, shown)

    def _sweep(self, experiment: str, steps: int) -> tuple[Tensor, go.Figure]:
        table = self.table
        swept = table[(table["experiment"] == experiment) & (table["steps"] == steps)]
        swept = swept.rename(columns={"value": experiment})
        references = {"diffusion": table[table["experiment"] == "truth"].iloc[0]}
        balanced = table[(table["algorithm"] == "bsd") & (table["steps"] == steps)]
        if experiment == "ratio" and len(balanced):
            references["bsd"] = balanced.iloc[0]
        return _both(figures.sweep_image, figures.sweep_plot, swept, experiment, _SWEPT, references)


def _both(
    image: Callable[..., Figure], plot: Callable[..., go.Figure], *data: object
) -> tuple[Tensor, go.Figure]:
    return figures.drawn(image(*data)), plot(*data)
