"""Pipeline of the stage `reference`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.reference import nodes


def create_pipeline() -> Pipeline:
    """Prompts in, `reference` out."""
    return pipeline(
        [
            node(
                nodes.sample_reference,
                inputs=[
                    "prompts",
                    "params:seed",
                    "params:models",
                    "params:run",
                    "params:reference",
                ],
                outputs="reference",
                name="sample_reference",
            )
        ],
        namespace="reference",
        prefix_datasets_with_namespace=False,
    )
