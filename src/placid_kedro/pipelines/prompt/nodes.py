"""Nodes of the stage `prompt`."""

from placid_kedro.config import PromptProcessorParameters
from placid_kedro.prompts import Prompts, check_text, directional_prompts, run_slug


def process_prompt(prompt: str, seed: int, parameters: PromptProcessorParameters) -> Prompts:
    """Clean the prompt and write the prompts of the eight viewing directions.

    Raises:
        PromptError: the prompt is empty, too long or in a script that the text encoder cannot read.
    """
    text = check_text(prompt, parameters.max_characters, parameters.scripts)
    return Prompts(
        text=text,
        slug=run_slug(text, seed),
        views=directional_prompts(text, parameters.view_template),
    )
