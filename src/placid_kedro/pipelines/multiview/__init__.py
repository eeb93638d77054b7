"""Stage `multiview`: views round the object, enhanced by Latent-Plane, and its density field."""

from placid_kedro.pipelines.multiview.pipeline import create_pipeline

__all__ = ["create_pipeline"]
