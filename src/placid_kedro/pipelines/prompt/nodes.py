"""Nodes of the stage `prompt`."""

from pathlib import Path

from placid_kedro.config import PromptProcessorParameters
from placid_kedro.models import local_folder
from placid_kedro.pipelines.types import ModelSource
from placid_kedro.prompts import Prompts, check_text, directional_prompts, run_slug


def process_prompt(
    prompt: str, seed: int, text_to_image: ModelSource, parameters: PromptProcessorParameters
) -> Prompts:
    """Clean the prompt, put it into words that the text-to-image model knows, and write the prompts of the eight
    viewing directions.

    Raises:
        PromptError: the prompt is empty, too long or in a script that the text encoder cannot read.
        ModelError: the model's list of names is there and holds none.
    """
    from placid_kedro.embedded.known_words import in_known_words

    text = check_text(prompt, parameters.max_characters, parameters.scripts)
    folder = local_folder(text_to_image, Path.cwd())
    drawn = in_known_words(text, folder, parameters.known_words) if folder else text
    return Prompts(
        text=text,
        drawn=drawn,
        slug=run_slug(text, seed),
        views=directional_prompts(drawn, parameters.view_template),
    )
