"""From a prompt to the name of its folder."""

import hashlib

from placid_kedro.prompts.text import clean_text

MAX_SLUG_CHARACTERS = 60
HASH_CHARACTERS = 10


def slugify_prompt(prompt: str) -> str:
    """Name a folder after a prompt: lower-case ASCII letters, digits and hyphens, at most 71 characters.

    Two prompts whose cleaned texts differ get different names: when the readable part does not hold the
    whole text (capitals, punctuation, accents, length), ten digits of its SHA-256 follow.
    """
    from slugify import slugify

    cleaned = clean_text(prompt)
    readable = slugify(cleaned, max_length=MAX_SLUG_CHARACTERS, word_boundary=True) or "prompt"
    if readable.replace("-", " ") == cleaned:
        return readable
    return f"{readable}-{hashlib.sha256(cleaned.encode()).hexdigest()[:HASH_CHARACTERS]}"


def run_slug(prompt: str, seed: int) -> str:
    """Name the folder of one run: the prompt's name, and the seed where it is not 0.

    Example: `run_slug("a teddy bear", 0)` is `"a-teddy-bear"`, with seed 3 `"a-teddy-bear_seed3"`.
    """
    name = slugify_prompt(prompt)
    return name if seed == 0 else f"{name}_seed{seed}"


def run_folder(experiment: str, prompt: str, seed: int) -> str:
    """Folder of one run's artifacts within each layer: `run_slug`, inside the experiment's where it has a name.

    Example: `run_folder("few-steps", "a teddy bear", 0)` is `"few-steps/a-teddy-bear"`.
    """
    slug = run_slug(prompt, seed)
    return f"{experiment}/{slug}" if experiment else slug
