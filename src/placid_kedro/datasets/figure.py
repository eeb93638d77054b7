"""Interactive plots as Plotly JSON files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kedro_datasets._typing import PlotlyPreview

from placid_kedro.datasets.base import FileDataset

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class FigureDataset(FileDataset["Figure"]):
    """One Plotly figure."""

    def _read(self, path: Path) -> "Figure":
        from plotly.io import read_json

        return read_json(str(path))

    def _write(self, path: Path, data: "Figure") -> None:
        from plotly.io import to_json

        path.write_text(str(to_json(data)), encoding="utf-8")

    def preview(self) -> PlotlyPreview:
        """The figure, for Kedro-Viz."""
        return PlotlyPreview(json.loads(self._filepath.read_bytes()))
