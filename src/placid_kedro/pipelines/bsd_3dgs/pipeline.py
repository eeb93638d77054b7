"""Pipeline of the stage `bsd_3dgs`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.bsd_3dgs import nodes


def create_pipeline() -> Pipeline:
    """Initial Gaussians, `lora` and `views` in, `gaussians`, summary, `optimisation` and curves out."""
    return pipeline(
        [
            node(
                nodes.distill_into_gaussians,
                inputs=[
                    "initial_gaussians",
                    "lora",
                    "views",
                    "prompts",
                    "params:prompt_processor",
                    "params:seed",
                    "params:models",
                    "params:run",
                    "params:distillation",
                    "params:bsd_3dgs",
                ],
                outputs=["gaussians", "distillation_summary", "optimisation", "distillation_curves"],
                name="distill_into_gaussians",
            )
        ],
        namespace="bsd_3dgs",
        prefix_datasets_with_namespace=False,
    )
