"""Nodes of the pipeline `import_splats`."""

from placid_kedro.config import SplatsImport
from placid_kedro.pipelines.types import Gaussians


def read_splats(parameters: SplatsImport) -> Gaussians:
    """The splats of a ply file, in the middle of the cube."""
    from placid_kedro.splats.foreign import import_splats

    return import_splats(parameters)
