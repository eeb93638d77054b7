"""Nodes of the pipelines `import_zero123` and `import_latent_plane`."""

from pathlib import Path

from placid_kedro.config import LatentPlaneFiles
from placid_kedro.pipelines.types import FolderWriter


def convert_zero123(checkpoint: str) -> FolderWriter:
    """Zero-1-to-3's checkpoint as a model folder."""
    from placid_kedro.diffusion.compvis import import_zero123

    return import_zero123(Path(checkpoint).expanduser())


def convert_latent_plane(files: LatentPlaneFiles) -> FolderWriter:
    """The authors' Latent-Plane as a model folder."""
    from placid_kedro.latent_plane.official import load_official
    from placid_kedro.latent_plane.training.export import LatentPlaneFolder

    coarse, fine = (Path(path).expanduser() for path in (files.coarse, files.fine))
    return LatentPlaneFolder(load_official(coarse, fine))
