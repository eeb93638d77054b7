"""Stage `objaverse_ingest`: one table of objects from the chosen libraries."""

from placid_kedro.pipelines.objaverse_ingest.pipeline import create_pipeline

__all__ = ["create_pipeline"]
