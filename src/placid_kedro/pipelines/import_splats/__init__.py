"""Pipeline `import_splats`: splats of another program become the object of a prompt."""

from placid_kedro.pipelines.import_splats.pipeline import create_pipeline

__all__ = ["create_pipeline"]
