"""Pipeline `evaluate`: T3Bench's scores of a folder of Gaussians, whoever made them."""

from placid_kedro.pipelines.evaluate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
