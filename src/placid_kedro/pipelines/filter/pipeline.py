"""Pipeline of the stage `filter`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.filter import nodes


def create_pipeline() -> Pipeline:
    """`rendered_objects` in, `training_set` out."""
    return pipeline(
        [
            node(
                nodes.apply_filters,
                inputs=["rendered_objects", "params:run", "params:syncdreamer_render", "params:filter"],
                outputs="filtered_objects",
                name="apply_filters",
            ),
            node(
                nodes.finish_set,
                inputs=[
                    "filtered_objects",
                    "params:seed",
                    "params:objaverse_ingest",
                    "params:syncdreamer_render",
                    "params:filter",
                ],
                outputs=["training_set", "objects_by_reason"],
                name="finish_set",
            ),
        ],
        namespace="filter",
        prefix_datasets_with_namespace=False,
    )
