"""Fields over the object's cube, as safetensors files with a picture."""

import base64
import io
from typing import TYPE_CHECKING

from kedro_datasets._typing import ImagePreview

from placid_kedro.datasets.tensors import TensorsDataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

_SLICES = 5


class FieldDataset(TensorsDataset):
    """A dictionary of tensors; `density` among them, [R, R, R] over the cube, indexed x, y, z."""

    def preview(self) -> ImagePreview:
        """Slices across each axis, for Kedro-Viz: white is empty, black the densest."""
        buffer = io.BytesIO()
        _slices(self.load()["density"]).savefig(buffer, format="png", dpi=80)
        return ImagePreview(base64.b64encode(buffer.getvalue()).decode())


def _slices(field: "Tensor") -> "Figure":
    """One row an axis, evenly spaced slices through [-0.5, 0.5]; z, or else y, points up."""
    from matplotlib.figure import Figure

    largest = float(field.max()) or 1.0
    figure = Figure(figsize=(2 * _SLICES, 6.6), layout="constrained")
    rows = figure.subplots(3, _SLICES)
    for dim, name in enumerate("xyz"):
        for number, axis in enumerate(rows[dim], start=1):
            index = round(number * (field.shape[dim] - 1) / (_SLICES + 1))
            image = field.select(dim, index).T.numpy()
            axis.imshow(image, origin="lower", cmap="gray_r", vmin=0.0, vmax=largest, interpolation="nearest")
            axis.set_title(f"{name} = {index / (field.shape[dim] - 1) - 0.5:.2f}", fontsize=9)
            axis.set_axis_off()
    figure.suptitle(f"density, at most {largest:.3g}", fontsize=10)
    return figure
