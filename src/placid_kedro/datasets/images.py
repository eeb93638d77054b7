"""Images and sheets of views as PNG files; float32 [0, 1] tensors in memory, 8 bits a channel on disk."""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kedro_datasets._typing import ImagePreview

from placid_kedro.datasets.base import REMEDY, FileDataset
from placid_kedro.errors import DataError, ShapeError
from placid_kedro.finite import check_finite

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from placid_kedro.cameras import PosedViews

_CAMERAS = "placid_kedro.cameras"
_WEIGHTS = "placid_kedro.weights"
_MAX_PIXELS = 2**26
# Deflate makes at most 1,032 bytes of one, and a pixel is a bit at least: a file that promises more lacks its end.
_MAX_PIXELS_A_BYTE = 8 * 1032


class ImageDataset(FileDataset["Tensor"]):
    """One image, float32 [3 or 4, H, W] in [0, 1] (RGB, or RGB and straight alpha)."""

    content = "a PNG image"

    def _read(self, path: Path) -> "Tensor":
        return _read_png(path)[0]

    def _write(self, path: Path, data: "Tensor") -> None:
        if data.ndim != 3 or data.shape[0] not in (3, 4):
            raise ShapeError(f"An image must be [3 or 4, H, W], not {list(data.shape)}.")
        _write_png(path, _to_bytes(data), {})

    def _check(self, data: "Tensor") -> None:
        check_finite({"image": data}, str(self._filepath), REMEDY)

    def preview(self) -> ImagePreview:
        """The image, for Kedro-Viz."""
        return _preview(self._filepath)


class PosedViewsDataset(FileDataset["PosedViews"]):
    """N views of one size side by side in one image, their cameras in the file's text."""

    content = "a PNG image with its cameras"

    def _read(self, path: Path) -> "PosedViews":
        import torch

        from placid_kedro.cameras import PosedViews, cameras_from_config

        sheet, text = _read_png(path)
        try:
            cameras = cameras_from_config(json.loads(text[_CAMERAS]))
            weights = torch.tensor(json.loads(text[_WEIGHTS])) if _WEIGHTS in text else None
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{path} does not hold its cameras; run the stage that writes it.") from error
        channels, height, width = sheet.shape
        if width != len(cameras) * cameras.width or height != cameras.height:
            raise DataError(f"{path} is not as large as its cameras say; run the stage that writes it.")
        images = sheet.reshape(channels, height, len(cameras), -1).permute(2, 0, 1, 3).contiguous()
        return PosedViews(images, cameras, weights)

    def _write(self, path: Path, data: "PosedViews") -> None:
        from placid_kedro.cameras import cameras_to_config

        channels, height = data.images.shape[1:3]
        sheet = data.images.permute(1, 2, 0, 3).reshape(channels, height, -1)
        text = {_CAMERAS: json.dumps(cameras_to_config(data.cameras))}
        if data.weights is not None:
            text[_WEIGHTS] = json.dumps(data.weights.tolist())
        _write_png(path, _to_bytes(sheet), text)

    def _check(self, data: "PosedViews") -> None:
        cameras = {"world_to_camera": data.cameras.world_to_camera, "K": data.cameras.K}
        check_finite({"images": data.images, **cameras}, str(self._filepath), REMEDY)

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

    with Image.open(path, formats=("PNG",)) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise DataError(
                f"{path} has {image.width} x {image.height} pixels, more than {_MAX_PIXELS} are not read."
            )
        if image.width * image.height > _MAX_PIXELS_A_BYTE * path.stat().st_size:
            raise DataError(f"{path} is too short for {image.width} x {image.height} pixels; make it again.")
        text = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
        pixels = np.asarray(image if image.mode in ("RGB", "RGBA") else image.convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().float() / 255, text


def _preview(path: Path) -> ImagePreview:
    return ImagePreview(base64.b64encode(path.read_bytes()).decode())
