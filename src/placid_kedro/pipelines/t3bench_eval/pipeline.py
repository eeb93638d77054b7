"""Pipeline of the stage `t3bench_eval`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.t3bench_eval import nodes


def create_pipeline() -> Pipeline:
    """`gaussians` in, `turntable`, `report` and `t3bench_evidence` out."""
    return pipeline(
        [
            node(
                nodes.film_turntable,
                inputs=["gaussians", "params:run", "params:t3bench_eval"],
                outputs="turntable",
                name="film_turntable",
            ),
            node(
                nodes.judge,
                inputs=[
                    "gaussians",
                    "initial_gaussians",
                    "distillation_summary",
                    "prompts",
                    "params:seed",
                    "params:models",
                    "params:run",
                    "params:distillation",
                    "params:t3bench_eval",
                    "judge_credentials",
                ],
                outputs=["report", "t3bench_evidence"],
                name="judge",
            ),
        ],
        namespace="t3bench_eval",
        prefix_datasets_with_namespace=False,
    )
