"""Which of the names that the embedded text-to-image model knows a prompt is near to; it draws little else."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from placid_kedro.embedded.networks.scorer import NAMES, known_names
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder

# What is nearer is drawn as the thing itself: "a couch" (0.83, "sofa"). "a clock" (0.70), "a shoe" (0.70), "a truck"
# (0.57) and "a violin" (0.47) are mixtures.
_FAR = 0.75
_SHOWN = 3

logger = logging.getLogger(__name__)


def nearest_names(prompt: str, names: Sequence[str], count: int = _SHOWN) -> tuple[tuple[str, float], ...]:
    """The names that MiniLM puts nearest to a prompt, with the cosine of their embeddings, the nearest first."""
    encoder = MiniLMTextEncoder()
    cosines = encoder.sentence_embeddings(names) @ encoder.sentence_embeddings([prompt])[0]
    best = cosines.topk(min(count, len(names)))
    return tuple(
        (names[index], float(cosine)) for cosine, index in zip(best.values, best.indices, strict=True)
    )


def warn_if_far(prompt: str, folder: Path) -> None:
    """Say so when a prompt has no name that the model in a folder knows, nor is near to one. A folder without
    `names.txt` is of a model that is not bound to names, such as Stable Diffusion.

    Raises:
        ModelError: the file is there and holds no name.
    """
    if not (folder / NAMES).is_file():
        return
    names = known_names(folder)
    if any(_says(prompt, name) for name in names):
        return
    nearest = nearest_names(prompt, names)
    if nearest[0][1] < _FAR:
        logger.warning(
            "%r is none of the things that the embedded models have learned; the nearest are %s. What they draw of "
            "other words is a mixture of such things (models/README.md lists the names).",
            prompt,
            ", ".join(f"{name!r}" for name, _ in nearest),
        )


def _says(prompt: str, name: str) -> bool:
    """Whether the prompt has the name's words one after the other."""
    said, wanted = (re.findall(r"[\w']+", text.lower()) for text in (prompt, name))
    return any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1))
