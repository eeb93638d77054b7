"""Gaussians as the standard 3DGS ply file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_datasets._typing import PlotlyPreview

from placid_kedro.datasets.base import REMEDY, FileDataset
from placid_kedro.errors import NumericError
from placid_kedro.finite import check_finite

if TYPE_CHECKING:
    from placid_kedro.splats import Gaussians
    from placid_kedro.splats.ply import PlyAxes

_SHOWN_POINTS = 3000


class GaussiansDataset(FileDataset["Gaussians"]):
    """Gaussians in a `.ply` file that splat viewers open."""

    def __init__(
        self, *, filepath: str, axes: "PlyAxes" = "marked", metadata: dict[str, Any] | None = None
    ) -> None:
        """
        Args:
            filepath: path of the `.ply` file.
            axes: of the file that is read, see `placid_kedro.splats.load_ply`.
            metadata: read by Kedro-Viz.
        """
        super().__init__(filepath=filepath, metadata=metadata)
        self._axes = axes

    def _read(self, path: Path) -> "Gaussians":
        from placid_kedro.splats import load_ply

        return load_ply(path, axes=self._axes)

    def _write(self, path: Path, data: "Gaussians") -> None:
        from placid_kedro.splats import save_ply

        save_ply(data, path)

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "axes": self._axes}

    def _check(self, data: "Gaussians") -> None:
        if not len(data):
            raise NumericError(f"{self._filepath}: there is not one Gaussian in it; {REMEDY}.")
        check_finite({**vars(data), "scales": data.scales}, str(self._filepath), REMEDY)

    def preview(self) -> PlotlyPreview:
        """The most opaque centres in their colours, to turn about in Kedro-Viz."""
        from plotly.graph_objects import Figure, Scatter3d

        from placid_kedro.splats.gaussians import SH_C0

        gaussians = self.load()
        chosen = gaussians.logit_opacities.argsort(descending=True)[:_SHOWN_POINTS]
        x, y, z = gaussians.means[chosen].T.tolist()
        colours = (255 * (0.5 + SH_C0 * gaussians.sh0[chosen, 0])).round().clamp(0, 255).int().tolist()
        marker = {"size": 2, "color": [f"rgb({r},{g},{b})" for r, g, b in colours]}
        figure = Figure(Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker))
        figure.update_layout(scene_aspectmode="data", margin={"l": 0, "r": 0, "t": 0, "b": 0})
        return PlotlyPreview(json.loads(str(figure.to_json())))
