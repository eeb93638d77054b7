"""Pipeline `export`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.export import nodes


def create_pipeline() -> Pipeline:
    """`gaussians` in, the folder `exports` out."""
    return pipeline(
        [
            node(
                nodes.export_object,
                inputs=["gaussians", "params:prompt", "params:run", "params:export"],
                outputs="exports",
                name="export_object",
            )
        ],
        namespace="export",
        prefix_datasets_with_namespace=False,
    )
