"""Nodes of the stage `objaverse_ingest`."""

from placid_kedro.config import IngestParameters
from placid_kedro.pipelines.types import DataFrame
from placid_kedro.run_context import current_run


def ingest_objects(seed: int, parameters: IngestParameters) -> DataFrame:
    """List the objects of all sources; what cannot be used keeps its row with a reason."""
    from placid_kedro.objects.ingest import ingest

    return ingest(parameters, seed, current_run().progress)
