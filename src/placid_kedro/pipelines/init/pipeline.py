"""Pipeline of the stage `init`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.init import nodes


def create_pipeline() -> Pipeline:
    """`prompts`, `density` and `views` in, `initial_gaussians` out."""
    return pipeline(
        [
            node(
                nodes.place_gaussians,
                inputs=[
                    "prompts",
                    "density",
                    "views",
                    "params:seed",
                    "params:models.shap_e",
                    "params:run",
                    "params:init",
                ],
                outputs="initial_gaussians",
                name="place_gaussians",
            )
        ],
        namespace="init",
        prefix_datasets_with_namespace=False,
    )
