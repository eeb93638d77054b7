"""Pipeline `distill_2d`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.distill_2d import nodes

_SETTINGS = ["params:models.text_to_image", "params:run", "params:distill_2d"]


def create_pipeline() -> Pipeline:
    """Parameters in; `distill_2d_table`, `distill_2d_report` and the figures out."""
    return pipeline(
        [
            node(
                nodes.sample_ground_truth,
                inputs=["params:prompt_processor", *_SETTINGS],
                outputs="distill_2d_truth",
                name="sample_ground_truth",
            ),
            node(
                nodes.run_algorithms,
                inputs=["params:prompt_processor", *_SETTINGS],
                outputs="distill_2d_runs",
                name="run_algorithms",
            ),
            node(
                nodes.measure,
                inputs=[
                    "distill_2d_runs",
                    "distill_2d_truth",
                    "params:seed",
                    "params:models.scorer",
                    *_SETTINGS,
                ],
                outputs=["distill_2d_images", "distill_2d_table", "distill_2d_report"],
                name="measure_runs",
            ),
            node(
                nodes.plot_figures,
                inputs=[
                    "distill_2d_runs",
                    "distill_2d_images",
                    "distill_2d_truth",
                    "distill_2d_table",
                    "params:distill_2d",
                ],
                outputs={
                    f"{figure}_{kind}": f"distill_2d_{figure}_{kind}"
                    for figure in nodes.FIGURES
                    for kind in ("image", "plot")
                },
                name="plot_figures",
            ),
        ],
        namespace="distill_2d",
        prefix_datasets_with_namespace=False,
    )
