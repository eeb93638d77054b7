"""Pipeline of the stage `multiview`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.multiview import nodes


def create_pipeline() -> Pipeline:
    """Prompts and `reference` in, `views` and `density` out."""
    return pipeline(
        [
            node(
                nodes.sample_object_views,
                inputs=[
                    "prompts",
                    "reference",
                    "params:seed",
                    "params:models",
                    "params:run",
                    "params:multiview",
                ],
                outputs=["views", "density"],
                name="sample_object_views",
            )
        ],
        namespace="multiview",
        prefix_datasets_with_namespace=False,
    )
