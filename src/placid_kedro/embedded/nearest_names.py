"""Which of the names that the embedded text-to-image model knows a prompt is near to; it draws little else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from placid_kedro.embedded.networks.scorer import NAMES, known_names
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder

# "an airplane" is as near to "biplane"; dragons, violins and astronauts are farther from everything that is known.
_FAR = 0.55
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
    """Say so when a prompt is far from all that the model in a folder knows. A folder without `names.txt` is of a
    model that is not bound to names, such as Stable Diffusion.

    Raises:
        ModelError: the file is there and holds no name.
    """
    if not (folder / NAMES).is_file():
        return
    nearest = nearest_names(prompt, known_names(folder))
    if nearest[0][1] < _FAR:
        logger.warning(
            "%r is far from everything that the embedded models have learned; the nearest names are %s. The object "
            "will resemble one of the things that they know (models/README.md lists them).",
            prompt,
            ", ".join(f"{name!r}" for name, _ in nearest),
        )
