"""Pipeline of the stage `objaverse_ingest`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.objaverse_ingest import nodes


def create_pipeline() -> Pipeline:
    """Libraries in, `objects` out."""
    return pipeline(
        [
            node(
                nodes.ingest_objects,
                inputs=["params:seed", "params:objaverse_ingest"],
                outputs="objects",
                name="ingest_objects",
            )
        ],
        namespace="objaverse_ingest",
        prefix_datasets_with_namespace=False,
    )
