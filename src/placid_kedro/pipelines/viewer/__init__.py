"""Stage `viewer`: the page that shows the object in a web browser."""

from placid_kedro.pipelines.viewer.pipeline import create_pipeline

__all__ = ["create_pipeline"]
