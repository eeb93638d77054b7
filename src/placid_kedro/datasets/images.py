"""Images and sheets of views as PNG files; float32 [0, 1] tensors in memory, 8 bits a channel on disk."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from kedro_datasets._typing import ImagePreview

from placid_kedro.datasets.base import FileDataset
from placid_kedro.errors import DataError, ShapeError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_VIEW_COUNT = "placid_kedro.views"


class ImageDataset(FileDataset["Tensor"]):
    """One image, float32 [3 or 4, H, W] in [0, 1] (RGB, or RGB and straight alpha)."""

    def _read(self, path: Path) -> "Tensor":
        return _read_png(path)[0]

    def _write(self, path: Path, data: "Tensor") -> None:
        if data.ndim != 3 or data.shape[0] not in (3, 4):
            raise ShapeError(f"An image must be [3 or 4, H, W], not {list(data.shape)}.")
        _write_png(path, _to_bytes(data), {})

    def preview(self) -> ImagePreview:
        """The image, for Kedro-Viz."""
        return _preview(self._filepath)


class ImageSheetDataset(FileDataset["Tensor"]):
    """N views of one size side by side in one image, float32 [N, 3 or 4, H, W] in [0, 1]."""

    def _read(self, path: Path) -> "Tensor":
        sheet, text = _read_png(path)
        try:
            views = int(text[_VIEW_COUNT])
        except (KeyError, ValueError) as error:
            raise DataError(
                f"{path} does not say how many views it holds; run the stage that writes it."
            ) from error
        channels, height, width = sheet.shape
        return sheet.reshape(channels, height, views, width // views).permute(2, 0, 1, 3).contiguous()

    def _write(self, path: Path, data: "Tensor") -> None:
        if data.ndim != 4 or data.shape[1] not in (3, 4):
            raise ShapeError(f"A sheet of views must be [N, 3 or 4, H, W], not {list(data.shape)}.")
        views, channels, height, width = data.shape
        sheet = data.permute(1, 2, 0, 3).reshape(channels, height, views * width)
        _write_png(path, _to_bytes(sheet), {_VIEW_COUNT: str(views)})

    def preview(self) -> ImagePreview:
        """The sheet, for Kedro-Viz."""
        return _preview(self._filepath)


def _to_bytes(image: "Tensor") -> "np.ndarray":
    """Float [C, H, W] in [0, 1] to uint8 [H, W, C]."""
    import torch

    levels = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().numpy()


def _write_png(path: Path, pixels: "np.ndarray", text: dict[str, str]) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    Image.fromarray(pixels).save(path, format="PNG", pnginfo=info)


def _read_png(path: Path) -> tuple["Tensor", dict[str, str]]:
    import numpy as np
    import torch
    from PIL import Image

    with Image.open(path) as image:
        text = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
        pixels = np.asarray(image if image.mode in ("RGB", "RGBA") else image.convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().float() / 255, text


def _preview(path: Path) -> ImagePreview:
    return ImagePreview(base64.b64encode(path.read_bytes()).decode())
