"""Pipeline of the stage `lora`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.lora import nodes


def create_pipeline() -> Pipeline:
    """`views` in, `lora` and `lora_curves` out."""
    return pipeline(
        [
            node(
                nodes.personalise,
                inputs=[
                    "prompts",
                    "views",
                    "params:seed",
                    "params:models",
                    "params:run",
                    "params:lora",
                ],
                outputs=["lora", "lora_curves"],
                name="personalise",
            )
        ],
        namespace="lora",
        prefix_datasets_with_namespace=False,
    )
