"""Pipeline `distill_2d`: the distillation algorithms side by side, a latent being optimised directly."""

from placid_kedro.pipelines.distill_2d.pipeline import create_pipeline

__all__ = ["create_pipeline"]
