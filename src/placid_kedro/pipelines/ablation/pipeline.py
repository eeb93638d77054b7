"""Pipeline `ablation`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.ablation import nodes

# What a sweep gives to each of its objects itself.
_OWN = {"params:prompt", "params:seed"}


def create_pipeline(object_pipeline: Pipeline) -> Pipeline:
    """Parameters in; `ablation_cells`, the differences, their plot and the pictures out.

    Args:
        object_pipeline: what makes one object; the sweep depends on its parameters.
    """
    stages = {name for name in object_pipeline.inputs() if name.startswith("params:")} - _OWN
    return pipeline(
        [
            node(
                nodes.make_objects,
                inputs=["params:ablation", "params:models", *sorted(stages - {"params:models"})],
                outputs="ablation_cells",
                name="make_objects",
            ),
            node(
                nodes.compare_variants,
                inputs=["ablation_cells", "params:seed", "params:ablation"],
                outputs=[
                    "ablation_differences",
                    "ablation_differences_csv",
                    "ablation_plot",
                    "ablation_plot_image",
                ],
                name="compare_variants",
            ),
            node(
                nodes.show_objects,
                inputs=["ablation_cells", "params:ablation"],
                outputs=["ablation_grid", "ablation_page"],
                name="show_objects",
            ),
        ],
        namespace="ablation",
        prefix_datasets_with_namespace=False,
    )
