"""Stage `filter`: which of the rendered objects are worth training on."""

from placid_kedro.pipelines.filter.pipeline import create_pipeline

__all__ = ["create_pipeline"]
