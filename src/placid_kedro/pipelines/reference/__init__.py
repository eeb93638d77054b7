"""Stage `reference`: one image of the object from the front, its background removed."""

from placid_kedro.pipelines.reference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
