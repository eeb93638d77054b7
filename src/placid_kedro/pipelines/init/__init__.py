"""Stage `init`: the density field's surface becomes Gaussians."""

from placid_kedro.pipelines.init.pipeline import create_pipeline

__all__ = ["create_pipeline"]
