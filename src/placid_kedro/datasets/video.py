"""Videos as H.264 in MP4."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_datasets._typing import ImagePreview

from placid_kedro.datasets.base import REMEDY, FileDataset
from placid_kedro.errors import DataError, NumericError, ShapeError
from placid_kedro.finite import check_finite
from placid_kedro.video import write_mp4

if TYPE_CHECKING:
    from torch import Tensor

_MAX_BYTES = 2**30
_STILLS = 6


class VideoDataset(FileDataset["Tensor"]):
    """Frames float32 [T, 3, H, W] in [0, 1]; H and W even, as the codec's chroma planes need."""

    content = "a video"

    def __init__(
        self, *, filepath: str, fps: float, quality: float = 8.0, metadata: dict[str, Any] | None = None
    ) -> None:
        """
        Args:
            filepath: path of the `.mp4` file.
            fps: frames a second.
            quality: 0 (small file) to 10 (good image).
            metadata: read by Kedro-Viz.
        """
        super().__init__(filepath=filepath, metadata=metadata)
        self._fps = fps
        self._quality = quality

    def _check(self, data: "Tensor") -> None:
        if not len(data):
            raise NumericError(f"{self._filepath}: there is not one frame in it; {REMEDY}.")
        check_finite({"frames": data}, str(self._filepath), REMEDY)

    def _write(self, path: Path, data: "Tensor") -> None:
        import torch

        if data.ndim != 4 or data.shape[1] != 3 or data.shape[2] % 2 or data.shape[3] % 2:
            raise ShapeError(f"A video must be [T, 3, H, W] with even H and W, not {list(data.shape)}.")
        frames = (data.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        write_mp4(list(frames.numpy()), path, self._fps, self._quality)

    def _read(self, path: Path) -> "Tensor":
        import numpy as np
        import torch

        frames, (width, height) = _frames(path, _MAX_BYTES)
        if len(frames) * 3 * width * height >= _MAX_BYTES:
            raise DataError(f"{path} unpacks to more than {_MAX_BYTES} bytes; make it shorter or smaller.")
        stacked = np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().float() / 255

    def preview(self) -> ImagePreview:
        """Evenly spaced stills from left to right, for Kedro-Viz."""
        from PIL import Image

        frames, (width, height) = _frames(self._filepath, _MAX_BYTES)
        count = min(_STILLS, len(frames))
        sheet = Image.new("RGB", (count * width, height))
        for place in range(count):
            still = Image.frombytes("RGB", (width, height), frames[place * len(frames) // count])
            sheet.paste(still, (place * width, 0))
        buffer = io.BytesIO()
        sheet.save(buffer, format="PNG")
        return ImagePreview(base64.b64encode(buffer.getvalue()).decode())

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "fps": self._fps}


def _frames(path: Path, enough_bytes: int) -> tuple[list[bytes], tuple[int, int]]:
    """Frames as RGB bytes, until there are so many bytes, and (width, height)."""
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    frames: list[bytes] = []
    for frame in reader:
        frames.append(frame)
        if len(frames) * 3 * width * height >= enough_bytes:
            break
    reader.close()
    if not frames:
        raise DataError(f"{path} holds no frames; run the stage that writes it again.")
    return frames, (width, height)
