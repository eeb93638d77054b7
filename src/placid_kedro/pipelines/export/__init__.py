"""Pipeline `export`: a finished object in formats of other programs."""

from placid_kedro.pipelines.export.pipeline import create_pipeline

__all__ = ["create_pipeline"]
