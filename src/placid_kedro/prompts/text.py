"""Cleaning a prompt, and refusing one that the text encoders cannot read."""

import unicodedata

from placid_kedro.errors import PromptError

SHOWN_CHARACTERS = 40


def clean_text(text: str) -> str:
    """Normalise a prompt: Unicode form NFKC, control and format characters removed, one space between words.

    Args:
        text: the prompt as it was typed.

    Returns:
        The same words; empty when nothing printable is left.
    """
    composed = unicodedata.normalize("NFKC", text)
    # Tabs and line ends are control characters too, but they separate words.
    printable = "".join(
        " " if character.isspace() else character
        for character in composed
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(printable.split())


def check_text(text: str, max_characters: int, scripts: tuple[str, ...]) -> str:
    """Clean a prompt and refuse what no text encoder of this project understands.

    Args:
        text: the prompt as it was typed.
        max_characters: longest cleaned prompt that is accepted. A text encoder cuts what is too long at its
            end, where the view words of the directional prompts stand.
        scripts: names of the writing systems the text encoder was trained on, as Unicode's character names
            begin: `"LATIN"`, `"GREEK"`, `"CYRILLIC"`, ...

    Returns:
        The cleaned prompt.

    Raises:
        PromptError: the prompt is empty, too long, has no letter, or has a letter of another script.
    """
    cleaned = clean_text(text)
    if not cleaned:
        raise PromptError(
            "The prompt is empty; describe one object in a few English words, e.g. 'a teddy bear'."
        )
    if len(cleaned) > max_characters:
        raise PromptError(
            f"The prompt has {len(cleaned)} characters, at most {max_characters} are read; "
            "shorten it to one object."
        )
    letters = [character for character in cleaned if character.isalpha()]
    expected = " or ".join(script.capitalize() for script in scripts)
    if not letters:
        raise PromptError(
            f"The prompt {_shown(cleaned)} has no letter; "
            f"describe one object in English words ({expected} letters)."
        )
    for letter in letters:
        if not unicodedata.name(letter, "").startswith(scripts):
            raise PromptError(
                f"The prompt {_shown(cleaned)} has the letter '{letter}', but the text encoder reads English "
                f"only; write the prompt in {expected} letters."
            )
    return cleaned


def _shown(text: str) -> str:
    """Quote a prompt for a message, cut to a readable length."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "...")
