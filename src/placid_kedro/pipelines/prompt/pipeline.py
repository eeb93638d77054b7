"""Pipeline of the stage `prompt`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.prompt import nodes


def create_pipeline() -> Pipeline:
    """Prompt in, `prompts` out."""
    return pipeline(
        [
            node(
                nodes.process_prompt,
                inputs=[
                    "params:prompt",
                    "params:seed",
                    "params:models.text_to_image",
                    "params:prompt_processor",
                ],
                outputs="prompts",
                name="process_prompt",
            )
        ],
        namespace="prompt",
        prefix_datasets_with_namespace=False,
    )
