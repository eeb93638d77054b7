"""Stage `prompt`: the text is checked and becomes eight directional prompts."""

from placid_kedro.pipelines.prompt.pipeline import create_pipeline

__all__ = ["create_pipeline"]
