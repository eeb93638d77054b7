"""The text of a run: cleaning, refusing, naming, and the prompts of the viewing directions."""

from placid_kedro.prompts.directions import (
    VIEW_NAMES,
    DirectionalPrompt,
    Prompts,
    directional_prompts,
    view_name,
    view_prompt,
)
from placid_kedro.prompts.slug import run_folder, run_slug, slugify_prompt
from placid_kedro.prompts.text import check_text, clean_text

__all__ = [
    "VIEW_NAMES",
    "DirectionalPrompt",
    "Prompts",
    "check_text",
    "clean_text",
    "directional_prompts",
    "run_folder",
    "run_slug",
    "slugify_prompt",
    "view_name",
    "view_prompt",
]
