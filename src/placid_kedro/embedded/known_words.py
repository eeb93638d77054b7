"""A prompt in words that the embedded text-to-image model knows: of "a piano" it draws a mixture, of "a grand piano"
one."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from placid_kedro.embedded.networks.scorer import NAMES, known_names
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.training.captions import with_article
from placid_kedro.embedded.training.colors import COLOR_WORDS

_ADJECTIVES = frozenset(COLOR_WORDS) | {"wooden"}
_ARTICLES = frozenset({"a", "an", "the"})
_SHOWN = 3

logger = logging.getLogger(__name__)


def in_known_words(prompt: str, folder: Path, nearest: float | None) -> str:
    """The prompt, with a name that the model in a folder knows in the place of other words for the same thing. The log
    says so, and when no name is near.

    Words in front that name a colour stay. The others mean the nearest name, but none that only begins with one of them
    ("apple" is no "apple iphone"); where none is near, one word means the nearest of the names that end with it ("car"
    the "smart car").

    Args:
        prompt: cleaned.
        folder: of the model. Without `names.txt` it is not bound to names, such as Stable Diffusion, and its prompt
            stays as it is.
        nearest: least cosine of MiniLM's embeddings with a near name; None changes no word.

    Raises:
        ModelError: `names.txt` is there and holds no name.
    """
    if not (folder / NAMES).is_file():
        return prompt
    names = known_names(folder)
    if any(_says(prompt, name) for name in names):
        return prompt
    adjectives, noun = _parted(prompt)
    near = nearest_names(" ".join(noun) or prompt, names, len(names))
    name = None if nearest is None else _meant(noun, near, nearest)
    if name is None:
        logger.warning(
            "%r is none of the things that the embedded models have learned; the nearest are %s. What they draw of "
            "other words is a mixture of such things (models/README.md lists the names).",
            prompt,
            ", ".join(f"{one!r}" for one, _ in near[:_SHOWN]),
        )
        return prompt
    drawn = with_article(" ".join([*adjectives, name]))
    logger.info(
        "%r is drawn as %r, the nearest of the things that the embedded models have learned; "
        "prompt_processor.known_words=null leaves the words as they are",
        prompt,
        drawn,
    )
    return drawn


def nearest_names(text: str, names: Sequence[str], count: int = _SHOWN) -> tuple[tuple[str, float], ...]:
    """The names that MiniLM puts nearest to a text, with the cosine of their embeddings, the nearest first."""
    encoder = MiniLMTextEncoder()
    cosines = encoder.sentence_embeddings(names) @ encoder.sentence_embeddings([text])[0]
    best = cosines.topk(min(count, len(names)))
    return tuple(
        (names[index], float(cosine)) for cosine, index in zip(best.values, best.indices, strict=True)
    )


def _meant(noun: list[str], near: Sequence[tuple[str, float]], nearest: float) -> str | None:
    """The name that a noun's words mean, of all names with their cosines, the nearest first."""
    for name, cosine in near:
        if cosine >= nearest and not set(noun) & set(_words(name)[:-1]):
            return name
    return next((name for name, _ in near if _words(name)[-1:] == noun), None)


def _parted(prompt: str) -> tuple[list[str], list[str]]:
    """The words of colour and material in front, and the rest without an article."""
    words = _words(prompt)
    if words and words[0] in _ARTICLES:
        del words[0]
    count = next((place for place, word in enumerate(words) if word not in _ADJECTIVES), len(words))
    return words[:count], words[count:]


def _says(prompt: str, name: str) -> bool:
    """Whether the prompt has the name's words one after the other."""
    said, wanted = _words(prompt), _words(name)
    return any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())
