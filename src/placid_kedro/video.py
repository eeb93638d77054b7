"""Videos as H.264 in MP4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_mp4(frames: Sequence[NDArray[np.uint8]], path: Path, fps: float, quality: float = 8.0) -> None:
    """Write a video.

    Args:
        frames: [H, W, 3] each, H and W even, as the codec's chroma planes need; one at least.
        path: of the `.mp4` file.
        fps: frames a second.
        quality: 0 (small file) to 10 (good image).
    """
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=fps,
        codec="libx264",
        quality=quality,
        macro_block_size=2,
        ffmpeg_log_level="error",
    )
    writer.send(None)
    try:
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()
