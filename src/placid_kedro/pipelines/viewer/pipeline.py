"""Pipeline of the stage `viewer`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.viewer import nodes


def create_pipeline() -> Pipeline:
    """Everything that there is of an object in, its `page` out."""
    return pipeline(
        [
            node(
                nodes.write_page,
                inputs=[
                    "gaussians",
                    "optimisation",
                    "reference",
                    "views",
                    "report",
                    "params:bsd_3dgs",
                    "params:t3bench_eval",
                ],
                outputs="page",
                name="write_page",
            )
        ],
        namespace="viewer",
        prefix_datasets_with_namespace=False,
    )
