"""Nodes of the stage `objaverse_ingest`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import IngestParameters
from placid_kedro.pipelines.types import DataFrame


def ingest_objects(seed: int, parameters: IngestParameters) -> DataFrame:
    """List the objects of all sources; what cannot be used keeps its row with a reason."""
    from placid_kedro.objects.ingest import ingest

    return ingest(parameters, seed, current_run().progress)
