"""Stage `bsd_3dgs`: score distillation of the fine-tuned model into the splats."""

from placid_kedro.pipelines.bsd_3dgs.pipeline import create_pipeline

__all__ = ["create_pipeline"]
