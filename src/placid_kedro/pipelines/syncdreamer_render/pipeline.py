"""Pipeline of the stage `syncdreamer_render`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.syncdreamer_render import nodes


def create_pipeline() -> Pipeline:
    """`objects` in, `rendered_objects` out."""
    return pipeline(
        [
            node(
                nodes.render_views,
                inputs=["objects", "params:seed", "params:syncdreamer_render"],
                outputs="rendered_objects",
                name="render_views",
            )
        ],
        namespace="syncdreamer_render",
        prefix_datasets_with_namespace=False,
    )
