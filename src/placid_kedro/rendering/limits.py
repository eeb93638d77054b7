"""What a mesh file may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeshLimits:
    """What a file may cost.

    Attributes:
        max_bytes: of the file itself, and of each file that it names.
        max_faces: triangles.
        max_texture_pixels: of one image.
    """

    max_bytes: int = 512 * 2**20
    max_faces: int = 750_000
    max_texture_pixels: int = 64 * 2**20
