"""Pipeline `evaluate`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.evaluate import nodes


def create_pipeline() -> Pipeline:
    """A folder and a list of prompts in, `evaluation_scores`, `evaluation_evidence` and `evaluation_table1` out."""
    return pipeline(
        [
            node(
                nodes.score_objects,
                inputs=[
                    "params:evaluate",
                    "params:seed",
                    "params:models.scorer",
                    "params:run",
                    "judge_credentials",
                ],
                outputs=["evaluation_scores", "evaluation_evidence", "evaluation_table1"],
                name="score_objects",
            )
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
