"""Pipeline `pretrain`: the data and all embedded models from scratch."""

from placid_kedro.pipelines.pretrain.pipeline import create_pipeline

__all__ = ["create_pipeline"]
