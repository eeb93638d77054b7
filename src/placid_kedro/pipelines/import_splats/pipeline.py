"""Pipeline `import_splats`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.import_splats import nodes


def create_pipeline() -> Pipeline:
    """A file in, `gaussians` out."""
    return pipeline(
        [
            node(
                nodes.read_splats,
                inputs=["params:import_splats"],
                outputs="gaussians",
                name="read_splats",
            )
        ],
        namespace="import_splats",
        prefix_datasets_with_namespace=False,
    )
