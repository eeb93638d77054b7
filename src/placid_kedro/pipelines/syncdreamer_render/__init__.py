"""Stage `syncdreamer_render`: views and depth of every object."""

from placid_kedro.pipelines.syncdreamer_render.pipeline import create_pipeline

__all__ = ["create_pipeline"]
