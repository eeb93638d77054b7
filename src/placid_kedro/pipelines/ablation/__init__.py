"""Pipeline `ablation`: every prompt with every seed in every variant of the method, compared."""

from placid_kedro.pipelines.ablation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
