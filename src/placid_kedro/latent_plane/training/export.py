"""A trained Latent-Plane into a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from placid_kedro.diffusion.saving import save_half, write_index
from placid_kedro.latent_plane.plane import LatentPlane


def save_latent_plane(folder: Path, plane: LatentPlane) -> None:
    """Write a Latent-Plane."""
    folder.mkdir(parents=True, exist_ok=True)
    save_half(plane, folder / "latent_plane")
    write_index(folder, "LatentPlane", {"latent_plane": ("placid_kedro.latent_plane", "LatentPlane")})


@dataclass(frozen=True, eq=False)
class LatentPlaneFolder:
    """A Latent-Plane on its way into a folder."""

    plane: LatentPlane

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_latent_plane`."""
        save_latent_plane(save_directory, self.plane)
