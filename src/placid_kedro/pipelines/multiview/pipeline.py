"""Pipeline of the stage `multiview`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.multiview import nodes


def create_pipeline() -> Pipeline:
    """`reference` in, `views` and `density` out."""
    return pipeline(
        [
            node(
                nodes.draw_views,
                inputs=[
                    "reference",
                    "params:seed",
                    "params:models",
                    "params:run",
                    "params:multiview",
                ],
                outputs=["views", "density"],
                name="draw_views",
            )
        ],
        namespace="multiview",
        prefix_datasets_with_namespace=False,
    )
