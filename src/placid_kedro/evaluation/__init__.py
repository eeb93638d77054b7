"""Does the object match its prompt?

The parameter types (`config`) import no torch; the rest loads when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from placid_kedro.evaluation.retrieval import Retrieval, SimilarityScorer, rank_of_prompt

__all__ = ["Retrieval", "SimilarityScorer", "rank_of_prompt"]

_LAZY = {"retrieval": ["Retrieval", "SimilarityScorer", "rank_of_prompt"]}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_LAZY)
