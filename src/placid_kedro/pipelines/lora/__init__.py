"""Stage `lora`: the text-to-image model learns the object's views."""

from placid_kedro.pipelines.lora.pipeline import create_pipeline

__all__ = ["create_pipeline"]
