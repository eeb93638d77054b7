"""Nodes of the pipeline `export`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import ExportParameters, RunParameters
from placid_kedro.pipelines.types import FolderWriter, Gaussians


def export_object(
    gaussians: Gaussians, prompt: str, run: RunParameters, parameters: ExportParameters
) -> FolderWriter:
    """The object in every format that is wanted."""
    from placid_kedro.export.folder import exported
    from placid_kedro.pipelines.loading import start

    start(run)
    return exported(gaussians, parameters, current_run().progress, prompt)
